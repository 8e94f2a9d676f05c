import type { IncomingRequest } from '../serving/incoming-request.ts';
import type { OutgoingResponse } from '../serving/outgoing-response.ts';
import type { Session } from './session.ts';

/** Makes what users hold of the engine's objects, and handlers are given. */
export interface Faces {
  ofSession(session: Session): object;
  /** The session is over: ends the access to it. */
  detach(socket: object): void;
  ofRequest(request: IncomingRequest): object;
  /** The same object each time. */
  ofResponse(response: OutgoingResponse): object;
}
