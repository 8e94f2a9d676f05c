import type { RequestHandler } from '../serving/request-handler.ts';
import type { Faces } from '../websocket/faces.ts';
import { HttpRequest } from './http-request.ts';
import { faceOf, HttpResponse } from './http-response.ts';
import { detach, SslWebSocket, WebSocket } from './web-socket.ts';

/** A function that answers requests. */
export type HttpHandler = (res: HttpResponse, req: HttpRequest) => void | Promise<void>;

/** What users hold of the engine's objects: each of these is thin, and points to one of those. */
export const FACES: Faces = {
  ofSession: (session) =>
    session.transport.tls === null ? new WebSocket(session) : new SslWebSocket(session),
  detach: (socket) => {
    detach(socket as WebSocket);
  },
  ofRequest: (request) => (request.face ??= new HttpRequest(request)),
  ofResponse: faceOf,
};

/** The engine's handler that calls the user's. */
export function requestHandler(handler: HttpHandler): RequestHandler {
  return (response, request) => {
    const face = response.face === null ? new HttpResponse(response) : faceOf(response);
    const result: unknown = handler(face, new HttpRequest(request));
    // Most responses are sent by now, and their faces are asked for no more.
    if (response.isOpen) response.face = face;
    return result === face ? undefined : result;
  };
}
