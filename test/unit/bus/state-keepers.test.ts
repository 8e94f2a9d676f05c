import { describe, expect, it, vi } from 'vitest';
import { type StateKeeper, StateKeepers, type StatePieces } from '../../../src/bus/state-keepers.ts';

const soon = (): number => performance.now() + 5000;

function* piecesOf(text: string): Iterable<Uint8Array> {
  // One buffer for all pieces.
  const piece = new Uint8Array(1);
  for (const byte of Buffer.from(text)) {
    piece[0] = byte;
    yield piece;
  }
}

/** Keeps a text, and notes how it began. */
class Keeper implements StateKeeper {
  text = '';
  readonly began: (string | null)[] = [];
  pack(): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
    return piecesOf(this.text);
  }
  takeOver(pieces: StatePieces): void | Promise<void> {
    this.text = Buffer.concat(pieces).toString();
    this.began.push('taken over');
  }
  startAnew(why: string | null): void {
    this.text = '';
    this.began.push(why);
  }
}

/** Two instances of a thread: what one packs the other begins with. */
async function handOver(
  old: Record<string, StateKeeper>,
  successor: Record<string, StateKeeper>,
  most?: number,
): Promise<{ failures: readonly string[]; bytes: number; keepers: StateKeepers }> {
  const former = new StateKeepers(() => 1);
  for (const [name, keeper] of Object.entries(old)) former.add(name, keeper);
  for (const keeper of Object.values(old)) if (keeper instanceof Keeper) keeper.text = 'state';
  const keepers = new StateKeepers(() => 2);
  keepers.defer();
  for (const [name, keeper] of Object.entries(successor)) keepers.add(name, keeper);
  const { failures, bytes } = await keepers.begin(await former.pack(soon(), most), null, soon());
  return { failures, bytes, keepers };
}

describe('StateKeepers', () => {
  it('hand over what each packed, and with it the epoch of its state', async () => {
    const [a, b] = [new Keeper(), new Keeper()];
    const { failures, bytes, keepers } = await handOver({ a: new Keeper(), b: new Keeper() }, { a, b });
    expect([a.text, b.text]).toEqual(['state', 'state']);
    expect([a.began, b.began]).toEqual([['taken over'], ['taken over']]);
    expect({ failures, bytes }).toEqual({ failures: [], bytes: 10 });
    expect(keepers.epochOf('a')).toBe(1);
  });

  it('begin with nothing in a first instance, and after a crash, which is said', async () => {
    for (const why of [null, 'its thread ended']) {
      const keepers = new StateKeepers(() => 4);
      const keeper = new Keeper();
      keepers.defer();
      keepers.add('a', keeper);
      expect(keeper.began).toEqual([]);
      const failures = why === null ? [] : ['a: its thread ended'];
      expect(await keepers.begin([], why, soon())).toEqual({ bytes: 0, failures });
      expect(keeper.began).toEqual([why]);
      expect(keepers.epochOf('a')).toBe(4);
    }
  });

  it('one that throws when it packs, or takes over, begins anew; the others keep their state', async () => {
    class Packs extends Keeper {
      override *pack(): Iterable<Uint8Array> {
        yield new Uint8Array(1);
        throw new Error('cannot pack');
      }
    }
    class Takes extends Keeper {
      override takeOver(): void {
        throw new Error('cannot read it');
      }
    }
    class Rejects extends Keeper {
      override takeOver(): Promise<void> {
        return Promise.reject(new Error('not now'));
      }
    }
    const [packs, takes, rejects, good] = [new Keeper(), new Takes(), new Rejects(), new Keeper()];
    const { failures, keepers } = await handOver(
      { packs: new Packs(), takes: new Keeper(), rejects: new Keeper(), good: new Keeper() },
      { packs, takes, rejects, good },
    );
    expect(failures).toEqual(['packs: cannot pack', 'takes: cannot read it', 'rejects: not now']);
    expect([packs.began, takes.began, rejects.began]).toEqual([
      ['cannot pack'],
      ['cannot read it'],
      ['not now'],
    ]);
    expect(good.text).toBe('state');
    expect(['packs', 'takes', 'rejects', 'good'].map((name) => keepers.epochOf(name))).toEqual([2, 2, 2, 1]);
  });

  it('one whose state is too large begins anew, and takes no room of the next', async () => {
    class Large extends Keeper {
      override *pack(): Iterable<Uint8Array> {
        for (;;) yield new Uint8Array(100);
      }
    }
    const [large, small] = [new Keeper(), new Keeper()];
    const { failures } = await handOver({ large: new Large(), small: new Keeper() }, { large, small }, 4000);
    expect(failures).toEqual(['large: its state takes more than the 4000 bytes that are left for it']);
    expect(large.began).toEqual(['its state takes more than the 4000 bytes that are left for it']);
    expect(small.text).toBe('state');
  });

  it('one that packs empty pieces for ever begins anew before they fill the heap', async () => {
    class Endless extends Keeper {
      override *pack(): Iterable<Uint8Array> {
        for (;;) yield new Uint8Array(0);
      }
    }
    const endless = new Keeper();
    const { failures } = await handOver({ endless: new Endless() }, { endless }, 100_000);
    expect(failures).toEqual(['endless: its state takes more than the 100000 bytes that are left for it']);
  });

  it('one that packs for ever, and never lets a timer run, is ended at the deadline', async () => {
    let isEnded = false;
    class Endless extends Keeper {
      override *pack(): Iterable<Uint8Array> {
        try {
          for (;;) yield new Uint8Array(0);
        } finally {
          isEnded = true;
        }
      }
    }
    const former = new StateKeepers(() => 1);
    former.add('endless', new Endless());
    const packed = await former.pack(performance.now() + 20, Number.MAX_SAFE_INTEGER);
    expect(packed).toMatchObject([
      { name: 'endless', pieces: [], failure: 'it was not done within 5000 ms' },
    ]);
    expect(isEnded).toBe(true);
  });

  it('one that fails when it has begun anew costs nobody else anything', async () => {
    const printed = vi.spyOn(console, 'error').mockImplementation(() => {});
    const keeper = {
      *pack() {},
      takeOver() {},
      startAnew: async (): Promise<void> => {
        await Promise.resolve();
        throw new Error('it cannot');
      },
    };
    const keepers = new StateKeepers(() => 1);
    keepers.add('a', keeper);
    keepers.defer();
    keepers.add('b', keeper);
    await keepers.begin([], null, soon());
    await new Promise(setImmediate);
    expect(printed).toHaveBeenCalledTimes(2);
    printed.mockRestore();
  });

  it('one that does not pack or take over in time begins anew, and is told to stop', async () => {
    let signal: AbortSignal | null = null;
    class Hangs extends Keeper {
      override async *pack(): AsyncIterable<Uint8Array> {
        yield new Uint8Array(1);
        await new Promise(() => {});
      }
      override takeOver(_pieces: StatePieces, given?: AbortSignal): Promise<void> {
        signal = given ?? null;
        return new Promise(() => {});
      }
    }
    const former = new StateKeepers(() => 1);
    former.add('packs', new Hangs());
    former.add('takes', new Keeper());
    const packed = await former.pack(performance.now() + 1);
    expect(packed.map(({ failure }) => failure)).toEqual(['it was not done within 5000 ms', null]);
    const keepers = new StateKeepers(() => 2);
    keepers.defer();
    const keeper = new Hangs();
    keepers.add('takes', keeper);
    const { failures } = await keepers.begin(
      [{ name: 'takes', epoch: 1, pieces: [], failure: null }],
      null,
      performance.now() + 1,
    );
    expect(failures).toEqual(['takes: it was not done within 5000 ms']);
    expect(keeper.began).toEqual(['it was not done within 5000 ms']);
    expect(signal!.aborted).toBe(true);
  });

  it('state that nobody keeps any more is told, and a keeper that is new begins with nothing', async () => {
    const fresh = new Keeper();
    const { failures } = await handOver({ old: new Keeper() }, { fresh });
    expect(failures).toEqual(['old: nobody keeps it any more']);
    expect(fresh.began).toEqual([null]);
  });

  it('one that cannot even start anew is told, and one that comes late begins at once', async () => {
    const keepers = new StateKeepers(() => 1);
    keepers.defer();
    keepers.add('bad', {
      pack: () => [],
      takeOver: () => {},
      startAnew: () => {
        throw new Error('never');
      },
    });
    expect((await keepers.begin([], null, soon())).failures).toEqual(['bad: it cannot start anew: never']);
    const late = new Keeper();
    keepers.add('late', late);
    expect(late.began).toEqual([null]);
    expect(() => {
      keepers.add('late', late);
    }).toThrow('Two keepers of state cannot have one name');
  });
});
