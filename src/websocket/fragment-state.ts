/** What became of a message that is sent in fragments. SKIPPED: its first fragment was dropped, and so the others are. */
export const FragmentState = { NONE: 0, BEGUN: 1, SKIPPED: 2 } as const;
export type FragmentState = (typeof FragmentState)[keyof typeof FragmentState];
