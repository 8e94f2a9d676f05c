/** What `new Worker` is given so that its thread starts whatever the command line of node was. */
export interface WorkerOptions {
  readonly execArgv?: string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** The option that a thread cannot take: threads run files, and it says how text is to be read. */
const INPUT_TYPE = /^--input[-_]type(=|$)/;

/**
 * Options that are kept beside it, with their value in the same or in the next word: they prepare what a thread runs.
 * A thread that is given any by name takes no option of the process, such as one of V8; those hold for it anyhow.
 */
const WITH_VALUE = new Set(
  '--import --require -r --loader --experimental-loader --conditions -C --unhandled-rejections --disable-warning'.split(
    ' ',
  ),
);

/** The same without a value. */
const FLAGS = new Set(
  '--enable-source-maps --preserve-symlinks --no-warnings --no-deprecation --trace-warnings --trace-deprecation'.split(
    ' ',
  ),
);

/**
 * The options of a thread that is started from a file. Threads inherit those of the command line and of NODE_OPTIONS,
 * which is left as it is but when `--input-type` is among them: with that no thread would start.
 */
export function workerOptions(
  argv: readonly string[] = process.execArgv,
  env: NodeJS.ProcessEnv = process.env,
): WorkerOptions {
  const words = env['NODE_OPTIONS']?.split(' ') ?? [];
  const isNamed = argv.some((word) => INPUT_TYPE.test(word));
  const isInEnvironment = words.some((word) => INPUT_TYPE.test(word));
  return {
    ...(isNamed ? { execArgv: kept(argv) } : {}),
    ...(isInEnvironment ? { env: { ...env, NODE_OPTIONS: withoutInputType(words).join(' ') } } : {}),
  };
}

function kept(argv: readonly string[]): string[] {
  return argv.flatMap((word, i) => {
    if (FLAGS.has(word)) return [word];
    if (WITH_VALUE.has(word)) return i + 1 < argv.length ? [word, argv[i + 1]!] : [];
    return WITH_VALUE.has(word.slice(0, word.indexOf('='))) ? [word] : [];
  });
}

function withoutInputType(words: readonly string[]): string[] {
  return words.filter((word, i) => !INPUT_TYPE.test(word) && !/^--input[-_]type$/.test(words[i - 1] ?? ''));
}

/** How V8 is told the size of all heaps of a process. What it is told so holds for threads, too, whatever they are given. */
const HEAP_FLAG = /^--max[-_](?:old[-_]space|heap)[-_]size(?:[-_]percentage)?(?:=|$)/;
const OLD_SPACE = /^--max[-_]old[-_]space[-_]size(?:=|$)/;

/**
 * MiB of the old generation of every heap, if the command line or NODE_OPTIONS says so; 0: they do not; Infinity: they do
 * in another way, so that V8's own limit is all that is known.
 */
export function oldSpaceFlag(
  argv: readonly string[] = process.execArgv,
  env: NodeJS.ProcessEnv = process.env,
): number {
  // The command line comes behind, and the last one counts.
  const words = [...(env['NODE_OPTIONS']?.split(' ') ?? []), ...argv];
  const at = words.findLastIndex((word) => HEAP_FLAG.test(word));
  const word = words[at];
  if (word === undefined) return 0;
  const value = Number(word.includes('=') ? word.slice(word.indexOf('=') + 1) : words[at + 1]);
  return OLD_SPACE.test(word) && value > 0 ? value : Number.POSITIVE_INFINITY;
}
