import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Compression, compressionSettings } from '../../../src/protocol/compression.ts';
import { type ExtensionParam, formatExtensions, parseExtensions } from '../../../src/protocol/extension.ts';
import {
  acceptDeflate,
  checkDeflateAnswer,
  type DeflateOfferOptions,
  deflateOffer,
} from '../../../src/protocol/permessage-deflate.ts';
import { type AnswerParams, bestAnswer, mayAnswer, readOffer } from './deflate-reference.ts';

const {
  SHARED_COMPRESSOR,
  SHARED_DECOMPRESSOR,
  DEDICATED_COMPRESSOR,
  DEDICATED_COMPRESSOR_3KB,
  DEDICATED_COMPRESSOR_16KB,
  DEDICATED_DECOMPRESSOR,
  DEDICATED_DECOMPRESSOR_512B,
  DEDICATED_DECOMPRESSOR_4KB,
} = Compression;
const SHARED = SHARED_COMPRESSOR | SHARED_DECOMPRESSOR;
const FULL = DEDICATED_COMPRESSOR | DEDICATED_DECOMPRESSOR;
const PMD = 'permessage-deflate';

/** The value of the answer's header; '' when the server declines. */
function answer(header: string, compression: number): string {
  const agreement = acceptDeflate(parseExtensions(header)!, compressionSettings(compression)!);
  return agreement === undefined ? '' : formatExtensions([agreement.answer]);
}

describe('acceptDeflate', () => {
  it.each([
    // Without history on either side.
    ['permessage-deflate', SHARED, `${PMD}; server_no_context_takeover; client_no_context_takeover`],
    [
      'permessage-deflate; client_max_window_bits',
      SHARED,
      `${PMD}; server_no_context_takeover; client_no_context_takeover`,
    ],
    [
      'permessage-deflate; server_max_window_bits=10',
      SHARED,
      `${PMD}; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10`,
    ],
    // All history that there can be.
    ['permessage-deflate', FULL, PMD],
    ['permessage-deflate; client_max_window_bits', FULL, PMD],
    ['permessage-deflate; client_max_window_bits=15', FULL, PMD],
    ['permessage-deflate; client_max_window_bits=10', FULL, `${PMD}; client_max_window_bits=10`],
    ['permessage-deflate; server_max_window_bits=15', FULL, `${PMD}; server_max_window_bits=15`],
    ['permessage-deflate; server_max_window_bits=8', FULL, `${PMD}; server_max_window_bits=8`],
    ['permessage-deflate; server_no_context_takeover', FULL, `${PMD}; server_no_context_takeover`],
    ['permessage-deflate; client_no_context_takeover', FULL, `${PMD}; client_no_context_takeover`],
    // Windows of the server's own choice.
    [
      'permessage-deflate',
      DEDICATED_COMPRESSOR_3KB | DEDICATED_DECOMPRESSOR,
      `${PMD}; server_max_window_bits=9`,
    ],
    [
      'permessage-deflate; server_max_window_bits=12',
      DEDICATED_COMPRESSOR_16KB | DEDICATED_DECOMPRESSOR,
      `${PMD}; server_max_window_bits=11`,
    ],
    [
      'permessage-deflate; client_max_window_bits',
      DEDICATED_COMPRESSOR | DEDICATED_DECOMPRESSOR_512B,
      `${PMD}; client_max_window_bits=9`,
    ],
    [
      'permessage-deflate; client_max_window_bits=11',
      DEDICATED_COMPRESSOR | DEDICATED_DECOMPRESSOR_4KB,
      `${PMD}; client_max_window_bits=11`,
    ],
    [
      'permessage-deflate; client_max_window_bits=14',
      DEDICATED_COMPRESSOR | DEDICATED_DECOMPRESSOR_4KB,
      `${PMD}; client_max_window_bits=12`,
    ],
    // The client cannot be asked for a smaller window, so it is asked to keep none.
    [
      'permessage-deflate',
      DEDICATED_COMPRESSOR | DEDICATED_DECOMPRESSOR_4KB,
      `${PMD}; client_no_context_takeover`,
    ],
    // Only a decompressor: nothing is sent compressed.
    ['permessage-deflate', DEDICATED_DECOMPRESSOR, `${PMD}; server_no_context_takeover`],
    // What browsers send.
    ['permessage-deflate; client_max_window_bits', SHARED_COMPRESSOR, answer(PMD, SHARED)],
  ])('answers %j with a mask of %i by %j', (header, compression, expected) => {
    expect(answer(header, compression)).toBe(expected);
  });

  it.each([
    ['no offer at all', ''],
    ['another extension', 'x-webkit-deflate-frame, permessage-bzip2'],
    ['a name in capitals', 'Permessage-Deflate'],
    ['an unknown parameter', 'permessage-deflate; x'],
    ['a parameter in capitals', 'permessage-deflate; Client_Max_Window_Bits'],
    ['a parameter twice', 'permessage-deflate; client_max_window_bits; client_max_window_bits=9'],
    ['a value for server_no_context_takeover', 'permessage-deflate; server_no_context_takeover=1'],
    ['a value for client_no_context_takeover', 'permessage-deflate; client_no_context_takeover=true'],
    ['no value for server_max_window_bits', 'permessage-deflate; server_max_window_bits'],
    ...['7', '16', '08', '015', '+9', '-9', '9.0', '1e1', '0x9', 'x', '100', '1', '10a', '1:', '1/'].flatMap(
      (value) =>
        ['server', 'client'].map((who) => [
          `${who}_max_window_bits of ${value}`,
          `permessage-deflate; ${who}_max_window_bits="${value}"`,
        ]),
    ),
  ])('declines %s', (_name, header) => {
    const offers = parseExtensions(header);
    if (offers === undefined) return;
    expect(acceptDeflate(offers, compressionSettings(FULL)!)).toBeUndefined();
  });

  it('takes a quoted value for what it says', () => {
    expect(answer('permessage-deflate; server_max_window_bits="10"', FULL)).toBe(
      `${PMD}; server_max_window_bits=10`,
    );
  });

  it('takes the first offer it can accept', () => {
    const header =
      'permessage-bzip2, permessage-deflate; x, permessage-deflate; server_max_window_bits=99,' +
      ' permessage-deflate; server_max_window_bits=10, permessage-deflate';
    expect(answer(header, FULL)).toBe(`${PMD}; server_max_window_bits=10`);
  });

  it('agrees with a slow reading of the RFC on any offers and options', () => {
    fc.assert(
      fc.property(fc.array(offer(), { maxLength: 4 }), fc.constantFrom(...masks()), (offers, mask) => {
        const settings = compressionSettings(mask)!;
        const agreement = acceptDeflate(offers, settings);
        const legible = offers.map(readOffer).find((each) => each !== undefined);
        if (legible === undefined) {
          expect(agreement).toBeUndefined();
          return;
        }
        expect(agreement).toBeDefined();
        const given = paramsOf(agreement!.answer.params);
        expect(mayAnswer(legible, given)).toBe(true);
        expect(agreement!.params).toEqual(bestAnswer(legible, settings));
        // The other side, told the same, comes to the same.
        const client = checkDeflateAnswer([agreement!.answer], offerOptions(legible));
        expect(client).toEqual(agreement!.params);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('deflateOffer', () => {
  it.each<[DeflateOfferOptions, string]>([
    [{}, `${PMD}; client_max_window_bits`],
    [{ clientMaxWindowBits: false }, PMD],
    [{ clientMaxWindowBits: 9 }, `${PMD}; client_max_window_bits=9`],
    [{ serverMaxWindowBits: 8, clientMaxWindowBits: false }, `${PMD}; server_max_window_bits=8`],
    [
      { serverNoContextTakeover: true, clientNoContextTakeover: true },
      `${PMD}; server_no_context_takeover; client_no_context_takeover; client_max_window_bits`,
    ],
  ])('makes of %j the header %j', (options, header) => {
    expect(formatExtensions([deflateOffer(options)])).toBe(header);
  });

  it.each([7, 16, 9.5, Number.NaN])('throws for a window of %s bits', (bits) => {
    for (const options of [{ serverMaxWindowBits: bits }, { clientMaxWindowBits: bits }]) {
      expect(() => deflateOffer(options)).toThrow(
        expect.objectContaining({ code: 'MILLRACE_INVALID_ARGUMENT' }),
      );
    }
  });
});

describe('checkDeflateAnswer', () => {
  it.each<[string, DeflateOfferOptions]>([
    ['permessage-deflate, permessage-deflate', {}],
    ['permessage-deflate; x', {}],
    ['permessage-deflate; client_max_window_bits', {}],
    ['permessage-deflate; server_max_window_bits=16', {}],
    ['permessage-deflate; server_no_context_takeover=1', {}],
    ['permessage-deflate; client_max_window_bits=9; client_max_window_bits=9', {}],
    ['permessage-deflate; client_max_window_bits=9', { clientMaxWindowBits: false }],
    ['permessage-deflate; client_max_window_bits=11', { clientMaxWindowBits: 10 }],
    ['permessage-deflate', { serverNoContextTakeover: true }],
    ['permessage-deflate', { serverMaxWindowBits: 10 }],
    ['permessage-deflate; server_max_window_bits=11', { serverMaxWindowBits: 10 }],
  ])('refuses %j after an offer of %j', (header, offered) => {
    expect(checkDeflateAnswer(parseExtensions(header)!, offered)).toEqual(expect.any(String));
  });

  it('is null when the server declined', () => {
    expect(checkDeflateAnswer([], {})).toBeNull();
  });

  it.each<[string, DeflateOfferOptions, [boolean, boolean, number, number]]>([
    ['permessage-deflate', {}, [false, false, 15, 15]],
    ['permessage-deflate', { clientMaxWindowBits: 10 }, [false, false, 15, 10]],
    ['permessage-deflate', { clientNoContextTakeover: true }, [false, true, 15, 15]],
    ['permessage-deflate; client_no_context_takeover', {}, [false, true, 15, 15]],
    ['permessage-deflate; server_no_context_takeover', {}, [true, false, 15, 15]],
    ['permessage-deflate; server_max_window_bits=9', {}, [false, false, 9, 15]],
    ['permessage-deflate; server_max_window_bits=9', { serverMaxWindowBits: 10 }, [false, false, 9, 15]],
    ['permessage-deflate; client_max_window_bits=8', {}, [false, false, 15, 8]],
  ])('understands %j after an offer of %j', (header, offered, [server, client, serverBits, clientBits]) => {
    expect(checkDeflateAnswer(parseExtensions(header)!, offered)).toEqual({
      serverNoContextTakeover: server,
      clientNoContextTakeover: client,
      serverMaxWindowBits: serverBits,
      clientMaxWindowBits: clientBits,
    });
  });

  it('refuses exactly what the RFC does not allow', () => {
    const bits = fc.option(fc.integer({ min: 8, max: 15 }), { nil: undefined });
    const answers = fc.record({
      serverNoContextTakeover: fc.boolean(),
      clientNoContextTakeover: fc.boolean(),
      serverMaxWindowBits: bits,
      clientMaxWindowBits: bits,
    });
    const valid = offer(true).map((each) => readOffer(each)!);
    fc.assert(
      fc.property(valid, answers, (offered, given) => {
        const header = formatExtensions([{ name: PMD, params: paramList(given) }]);
        const result = checkDeflateAnswer(parseExtensions(header)!, offerOptions(offered));
        expect(typeof result === 'object').toBe(mayAnswer(offered, given));
      }),
      { numRuns: 3000 },
    );
  });
});

function masks(): number[] {
  const values = Object.values(Compression);
  const low = values.filter((value) => value < 256);
  const high = [0, ...values.filter((value) => value >= 256)];
  return low.flatMap((a) => high.map((b) => a | b)).filter((mask) => mask !== 0);
}

function offer(isValid = false): fc.Arbitrary<{ name: string; params: ExtensionParam[] }> {
  const bits = fc.integer({ min: isValid ? 8 : 7, max: isValid ? 15 : 16 }).map(String);
  const flag: fc.Arbitrary<string | true> = isValid
    ? fc.constant(true as const)
    : fc.oneof({ weight: 9, arbitrary: fc.constant(true as const) }, { weight: 1, arbitrary: bits });
  const param = (name: string, value: fc.Arbitrary<string | true>): fc.Arbitrary<ExtensionParam> =>
    value.map((given) => ({ name, value: given }));
  const params = fc.array(
    fc.oneof(
      param('server_no_context_takeover', flag),
      param('client_no_context_takeover', flag),
      param(
        'server_max_window_bits',
        isValid ? bits : fc.oneof({ weight: 9, arbitrary: bits }, { weight: 1, arbitrary: flag }),
      ),
      param('client_max_window_bits', fc.oneof(bits, fc.constant(true as const))),
    ),
    { maxLength: 4 },
  );
  const distinct = params.map((list) => [...new Map(list.map((each) => [each.name, each])).values()]);
  return fc.record({
    name: isValid
      ? fc.constant(PMD)
      : fc.oneof({ weight: 5, arbitrary: fc.constant(PMD) }, { weight: 1, arbitrary: fc.constant('x') }),
    params: isValid
      ? distinct
      : fc.oneof({ weight: 4, arbitrary: distinct }, { weight: 1, arbitrary: params }),
  });
}

function offerOptions(
  offered: AnswerParams & { clientMaxWindowBits: number | true | undefined },
): DeflateOfferOptions {
  const { serverMaxWindowBits, clientMaxWindowBits } = offered;
  return {
    serverNoContextTakeover: offered.serverNoContextTakeover,
    clientNoContextTakeover: offered.clientNoContextTakeover,
    ...(serverMaxWindowBits === undefined ? {} : { serverMaxWindowBits }),
    clientMaxWindowBits: clientMaxWindowBits ?? false,
  };
}

function paramList(given: AnswerParams): ExtensionParam[] {
  const params: ExtensionParam[] = [];
  if (given.serverNoContextTakeover) params.push({ name: 'server_no_context_takeover', value: true });
  if (given.clientNoContextTakeover) params.push({ name: 'client_no_context_takeover', value: true });
  if (given.serverMaxWindowBits !== undefined) {
    params.push({ name: 'server_max_window_bits', value: String(given.serverMaxWindowBits) });
  }
  if (given.clientMaxWindowBits !== undefined) {
    params.push({ name: 'client_max_window_bits', value: String(given.clientMaxWindowBits) });
  }
  return params;
}

function paramsOf(params: readonly ExtensionParam[]): AnswerParams {
  const find = (name: string): string | true | undefined => params.find((each) => each.name === name)?.value;
  const number = (value: string | true | undefined): number | undefined =>
    value === undefined ? undefined : Number(value);
  return {
    serverNoContextTakeover: find('server_no_context_takeover') === true,
    clientNoContextTakeover: find('client_no_context_takeover') === true,
    serverMaxWindowBits: number(find('server_max_window_bits')),
    clientMaxWindowBits: number(find('client_max_window_bits')),
  };
}
