import type { IncomingRequest } from './incoming-request.ts';
import type { OutgoingResponse } from './outgoing-response.ts';

/**
 * Answers requests, at once or later. What it throws, or rejects with, is answered in its place; it must call functions
 * of the user so that both come about.
 */
export type RequestHandler = (response: OutgoingResponse, request: IncomingRequest) => unknown;
