import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { EXAMPLES } from '../servers/millrace-process.ts';

/** Expects a file of an example's page at the URL, which lets the browser load nothing from elsewhere. Returns it. */
export async function expectPageFile(url: string, type: string, file: string): Promise<string> {
  const response = await fetch(url);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe(type);
  expect(response.headers.get('content-security-policy')).toContain("default-src 'none'; script-src 'self'");
  expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  const source = readFileSync(new URL(file, EXAMPLES), 'utf8');
  expect(await response.text()).toBe(source);
  return source;
}

/** Script that could make code of a text. */
export const UNSAFE_SCRIPT: RegExp = /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|Function\(/;
/** Handlers in attributes, and what is loaded from elsewhere. */
export const UNSAFE_MARKUP: RegExp = /\son\w+=|https?:\/\/(?!www\.w3\.org)/;
