import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MillraceError } from '../../../src/errors.ts';
import { ANY_METHOD, MAX_SEGMENTS, Router } from '../../../src/http/router.ts';

/** A router whose values are its patterns, with the method in front where it is not GET. */
function routerOf(...patterns: string[]): Router<string> {
  const router = new Router<string>();
  for (const pattern of patterns) router.add('GET', pattern, pattern);
  return router;
}

/** The first match and its parameters. */
function first(router: Router<string>, path: string, method = 'GET'): [string, ...string[]] | undefined {
  let found: [string, ...string[]] | undefined;
  router.match(method, path, (value, params) => {
    found = [value, ...params];
    return true;
  });
  return found;
}

/** All matches, in the order in which they are offered to one that never takes the request. */
function offers(router: Router<string>, path: string, method = 'GET'): string[] {
  const seen: string[] = [];
  const taken = router.match(method, path, (value, params) => {
    seen.push([value, ...params].join(' '));
    return false;
  });
  expect(taken).toBe(false);
  return seen;
}

describe('a pattern', () => {
  it('of names matches that path alone', () => {
    const router = routerOf('/', '/a', '/a/b', '/a/');
    expect(first(router, '/')).toEqual(['/']);
    expect(first(router, '/a')).toEqual(['/a']);
    expect(first(router, '/a/')).toEqual(['/a/']);
    expect(first(router, '/a/b')).toEqual(['/a/b']);
    for (const path of ['', '//', '/A', '/a//', '/a/b/', '/ab', 'a', '/%61', '/a/../a', '/a?'])
      expect(first(router, path)).toBeUndefined();
  });

  it('with parameters takes one segment each, not an empty one', () => {
    const router = routerOf('/:x', '/u/:id/p/:page');
    expect(first(router, '/anything')).toEqual(['/:x', 'anything']);
    expect(first(router, '/u/7/p/%20')).toEqual(['/u/:id/p/:page', '7', '%20']);
    expect(first(router, '/')).toBeUndefined();
    expect(first(router, '/u//p/1')).toBeUndefined();
    expect(first(router, '/u/7/p/')).toBeUndefined();
    expect(first(router, '/u/7/p/1/')).toBeUndefined();
  });

  it('with a wildcard takes the rest, at least a slash', () => {
    const router = routerOf('/a/*', '/b/:x/*');
    for (const path of ['/a/', '/a/b', '/a/b/c', '/a//', '/a/*'])
      expect(first(router, path)).toEqual(['/a/*']);
    for (const path of ['/a', '/', '/ab', '/c/d']) expect(first(router, path)).toBeUndefined();
    expect(first(router, '/b/1/2/3')).toEqual(['/b/:x/*', '1']);
    expect(first(router, '/b/1')).toBeUndefined();
    const all = routerOf('/*');
    for (const path of ['/', '/a', '/a/b', '//', '*', '', '/__proto__'])
      expect(first(all, path)).toEqual(['/*']);
  });

  it('with two stars is the same as with one', () => {
    const router = routerOf('/**', '/a/:x/**');
    expect(first(router, '/b/c')).toEqual(['/**']);
    expect(first(router, '/a/1/2/3')).toEqual(['/a/:x/**', '1']);
    router.add('GET', '/*', 'in its place');
    expect(first(router, '/')).toEqual(['in its place']);
    expect(router.remove('GET', '/**')).toBe(true);
    expect(first(router, '/')).toBeUndefined();
    for (const pattern of ['/**/a', '/***', '/**a']) expect(() => routerOf(pattern)).toThrow("has a '*'");
  });

  it('takes names of Object.prototype as data', () => {
    const router = routerOf('/constructor', '/:x/toString');
    for (const path of ['/__proto__', '/toString', '/hasOwnProperty', '/constructor/constructor']) {
      expect(first(router, path)).toBeUndefined();
    }
    expect(first(router, '/constructor')).toEqual(['/constructor']);
    expect(first(router, '/__proto__/toString')).toEqual(['/:x/toString', '__proto__']);
    expect(first(router, '/constructor', '__proto__')).toBeUndefined();
    expect(first(router, '/constructor', 'constructor')).toBeUndefined();
  });

  it('is not matched by a path that spells it', () => {
    expect(first(routerOf('/:x/b'), '/:x')).toBeUndefined();
    expect(first(routerOf('/a/*'), '/*')).toBeUndefined();
    expect(first(routerOf('/:x'), '/:x')).toEqual(['/:x', ':x']);
  });
});

describe('a path without a slash', () => {
  it('matches the wildcard of the root alone', () => {
    const router = routerOf('/', '/:x', '/a', '/*');
    for (const path of ['', '*', 'a', 'a/b']) expect(offers(router, path)).toEqual(['/*']);
    expect(first(routerOf('/', '/:x', '/a', '/a/*'), '*')).toBeUndefined();
  });
});

describe('the order', () => {
  it('is name, parameter, wildcard at each segment', () => {
    const router = routerOf('/*', '/:x/*', '/:x/b', '/:x/:y', '/a/*', '/a/:y', '/a/b');
    expect(offers(router, '/a/b')).toEqual([
      '/a/b',
      '/a/:y b',
      '/a/*',
      '/:x/b a',
      '/:x/:y a b',
      '/:x/* a',
      '/*',
    ]);
    expect(offers(router, '/a/c')).toEqual(['/a/:y c', '/a/*', '/:x/:y a c', '/:x/* a', '/*']);
    expect(offers(router, '/a')).toEqual(['/*']);
  });

  it('does not depend on the order of adding', () => {
    const patterns = ['/a/b', '/:x/b', '/*', '/a/:y'];
    const expected = offers(routerOf(...patterns), '/a/b');
    expect(offers(routerOf(...patterns.toReversed()), '/a/b')).toEqual(expected);
  });

  it('has all routes of the method before those of any method', () => {
    const router = routerOf('/a', '/*');
    router.add(ANY_METHOD, '/a', 'any /a');
    router.add(ANY_METHOD, '/:x', 'any /:x');
    router.add('POST', '/a', 'POST /a');
    expect(offers(router, '/a')).toEqual(['/a', '/*', 'any /a', 'any /:x a']);
    expect(offers(router, '/a', 'POST')).toEqual(['POST /a', 'any /a', 'any /:x a']);
    expect(offers(router, '/a', 'BREW')).toEqual(['any /a', 'any /:x a']);
    expect(offers(router, '/a', 'get')).toEqual(['any /a', 'any /:x a']);
    expect(offers(router, '/a', ANY_METHOD)).toEqual(['any /a', 'any /:x a']);
  });

  it('ends at the candidate that takes the request', () => {
    const router = routerOf('/a', '/:x', '/*');
    const seen: string[] = [];
    const taken = router.match('GET', '/a', (value) => {
      seen.push(value);
      return value === '/:x';
    });
    expect(taken).toBe(true);
    expect(seen).toEqual(['/a', '/:x']);
  });

  it('leaves out the parameters of branches that failed', () => {
    const router = routerOf('/:x/:y/z', '/:x/*', '/*');
    expect(offers(router, '/1/2/3')).toEqual(['/:x/* 1', '/*']);
  });
});

describe('parameters', () => {
  it('come with their names', () => {
    const router = routerOf('/a/:id/:__proto__', '/s');
    const seen: unknown[] = [];
    router.match('GET', '/a/1/2', (_value, params, names) => seen.push(params, names) > 0);
    router.match('GET', '/s', (_value, params, names) => seen.push(params, names) > 0);
    expect(seen).toEqual([['1', '2'], ['id', '__proto__'], [], []]);
    expect(router.parameterNames('GET', '/a/:id/:__proto__')).toEqual(['id', '__proto__']);
    expect(router.parameterNames('GET', '/s')).toEqual([]);
    expect(router.parameterNames('GET', '/none/:x')).toEqual([]);
    expect(router.parameterNames('PUT', '/s')).toEqual([]);
    router.add('GET', '/w/:a/*', 'w');
    expect(router.parameterNames('GET', '/w/:a/*')).toEqual(['a']);
  });

  it('may be kept while another request is matched', () => {
    const router = routerOf('/:x/:y', '/:x/*');
    const kept: (readonly string[])[] = [];
    const keep = (_value: string, params: readonly string[]) => kept.push(params) < 0;
    router.match('GET', '/1/2', keep);
    router.match('GET', '/3/4', keep);
    expect(kept).toEqual([['1', '2'], ['1'], ['3', '4'], ['3']]);
  });
});

describe('adding and removing', () => {
  it('replaces the route of the same method and pattern, whatever its parameters are called', () => {
    const router = routerOf('/a', '/:x', '/b/*');
    router.add('GET', '/a', 'new a');
    router.add('GET', '/:y', 'new x');
    router.add('GET', '/b/*', 'new b');
    expect(offers(router, '/a')).toEqual(['new a', 'new x a']);
    expect(offers(router, '/b/')).toEqual(['new b']);
    expect(router.parameterNames('GET', '/:x')).toEqual(['y']);
  });

  it('removes exactly the route that is named, and tells whether there was one', () => {
    const router = routerOf('/a', '/a/b', '/:x', '/:x/b', '/*', '/a/*');
    router.add(ANY_METHOD, '/a', 'any');
    expect(router.remove('GET', '/a')).toBe(true);
    expect(router.remove('GET', '/a')).toBe(false);
    expect(offers(router, '/a')).toEqual(['/:x a', '/*', 'any']);
    expect(offers(router, '/a/b')).toEqual(['/a/b', '/a/*', '/:x/b a', '/*']);
    expect(router.remove('GET', '/:other')).toBe(true);
    expect(router.remove('GET', '/*')).toBe(true);
    expect(router.remove('GET', '/a/*')).toBe(true);
    expect(router.remove('GET', '/none')).toBe(false);
    expect(router.remove('GET', '/none/*')).toBe(false);
    expect(router.remove('PUT', '/a')).toBe(false);
    expect(offers(router, '/a/b')).toEqual(['/a/b', '/:x/b a']);
    expect(router.remove('GET', '/a/b')).toBe(true);
    expect(router.remove('GET', '/:x/b')).toBe(true);
    expect(router.remove(ANY_METHOD, '/a')).toBe(true);
    expect(offers(router, '/a')).toEqual([]);
    router.add('GET', '/a', 'again');
    expect(offers(router, '/a')).toEqual(['again']);
  });

  it.each([
    ['', "'/'"],
    ['*', "'/*'"],
    ['a/b', "'/a/b'"],
    ['/a/*/b', "'/*'"],
    ['/*b', "'/*'"],
    ['/***', "'/*'"],
  ])('refuses the pattern %j and names a remedy', (pattern, remedy) => {
    const router = new Router<number>();
    for (const call of [() => router.add('GET', pattern, 1), () => router.remove('GET', pattern)]) {
      expect(call).toThrow(MillraceError);
      expect(call).toThrow(expect.objectContaining({ code: 'MILLRACE_INVALID_OPTION' }));
      expect(call).toThrow(remedy);
    }
    expect(router.match('GET', '/', () => true)).toBe(false);
  });

  it('takes patterns of up to MAX_SEGMENTS segments', () => {
    const pattern = (count: number) => '/a'.repeat(count);
    const router = routerOf(pattern(MAX_SEGMENTS - 1), pattern(MAX_SEGMENTS));
    expect(first(router, pattern(MAX_SEGMENTS))).toEqual([pattern(MAX_SEGMENTS)]);
    expect(first(router, pattern(MAX_SEGMENTS + 1))).toBeUndefined();
    expect(() => routerOf(pattern(MAX_SEGMENTS + 1))).toThrow('101 segments');
    expect(() => routerOf(`${pattern(MAX_SEGMENTS)}/*`)).toThrow('101 segments');
    expect(() => routerOf(`${pattern(MAX_SEGMENTS - 1)}/*`)).not.toThrow();
  });
});

describe('hostile paths', () => {
  it('of any depth match through a wildcard above, or not at all', () => {
    const router = routerOf('/a/*', '/:x/:y/z');
    expect(first(router, `/a${'/b'.repeat(100_000)}`)).toEqual(['/a/*']);
    expect(first(router, `/b${'/b'.repeat(100_000)}`)).toBeUndefined();
    expect(first(router, '/'.repeat(100_000))).toBeUndefined();
    expect(first(router, `/${'b'.repeat(100_000)}`)).toBeUndefined();
  });

  it('cost at most one visit of each node: names and parameters at a hundred levels end', () => {
    const router = new Router<string>();
    for (let depth = 1; depth <= 99; depth++) {
      router.add('GET', `${'/a'.repeat(depth)}/:x`, `a${depth}`);
      router.add('GET', `${'/:x'.repeat(depth)}/a`, `x${depth}`);
    }
    expect(first(router, `${'/a'.repeat(100)}/b`)).toBeUndefined();
    expect(offers(router, '/a'.repeat(100))).toEqual([`a99 a`, `x99 ${'a '.repeat(99).trim()}`]);
  });

  it('as raw text stay as they are', () => {
    const router = routerOf('/:x', '/:x/:y');
    for (const segment of ['%00', '%0d%0a', '..', '%c0%ae', '%', '%zz', '\xc0\xaf', '*', ':x', ' ']) {
      expect(first(router, `/${segment}`)).toEqual(['/:x', segment]);
      expect(first(router, `/a/${segment}`)).toEqual(['/:x/:y', 'a', segment]);
    }
  });
});

describe('random routes', () => {
  const segment = fc.constantFrom('a', 'b', ':x', '');
  const pattern = fc
    .tuple(fc.array(segment, { minLength: 1, maxLength: 4 }), fc.boolean())
    .map(([segments, wildcard]) => `/${segments.join('/')}${wildcard ? '/*' : ''}`);
  const route = fc.record({
    method: fc.constantFrom('GET', ANY_METHOD),
    pattern,
    remove: fc.nat(4).map((n) => n === 0),
  });
  const path = fc
    .array(fc.constantFrom('a', 'b', 'c', ''), { minLength: 1, maxLength: 5 })
    .map((s) => `/${s.join('/')}`);

  /** The rank of a pattern at each segment of the path, or undefined if it does not match. */
  function ranksOf(patternText: string, pathText: string): string | undefined {
    const segments = patternText.slice(1).split('/');
    const parts = pathText.slice(1).split('/');
    let ranks = '';
    for (let i = 0; i < segments.length; i++) {
      if (segments[i] === '*') return parts.length > i ? `${ranks}2` : undefined;
      if (segments[i] === ':x' ? parts[i] === '' || parts[i] === undefined : parts[i] !== segments[i])
        return undefined;
      ranks += segments[i] === ':x' ? 1 : 0;
    }
    return parts.length === segments.length ? ranks : undefined;
  }

  it('are offered as a plain search through the list would', () => {
    fc.assert(
      fc.property(fc.array(route, { maxLength: 30 }), path, (routes, pathText) => {
        const router = new Router<string>();
        const list = new Set<string>();
        for (const { method, pattern: text, remove } of routes) {
          const key = `${method} ${text}`;
          if (remove) {
            expect(router.remove(method, text)).toBe(list.delete(key));
            continue;
          }
          list.add(key);
          router.add(method, text, key);
        }
        const expected = [...list]
          .map((key) => ({
            key,
            method: key.startsWith('GET') ? 0 : 1,
            ranks: ranksOf(key.slice(key.indexOf('/')), pathText),
          }))
          .filter((candidate) => candidate.ranks !== undefined)
          .sort((a, b) => a.method - b.method || (a.ranks! < b.ranks! ? -1 : 1))
          .map((candidate) => candidate.key);
        const seen: string[] = [];
        router.match('GET', pathText, (value) => seen.push(value) < 0);
        expect(seen).toEqual(expected);
      }),
      { numRuns: 3000 },
    );
  });
});
