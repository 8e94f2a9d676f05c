/** What the codec needs of the platform to turn bytes into text and back, at native speed. */
export interface StompTextPort {
  /** The bytes as text, one character each. */
  latin1(bytes: Uint8Array, start: number, end: number): string;
  /** Length of a text in UTF-8. */
  byteLength(text: string): number;
  /** Writes a text as UTF-8 and returns the number of bytes. A lone surrogate becomes U+FFFD. */
  write(bytes: Uint8Array, text: string, position: number): number;
}
