/** Has this folder be the one for temporary files during a call. */
export async function withTemporary(folder: string, run: () => Promise<void>): Promise<void> {
  const { TMPDIR: before } = process.env;
  process.env['TMPDIR'] = folder;
  try {
    await run();
  } finally {
    if (before === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = before;
  }
}
