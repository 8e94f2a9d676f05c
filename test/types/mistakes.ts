/** Programs that must not compile. They are not run. */
import { App, type HttpRequest, type HttpResponse, us_socket_local_port, type WebSocket } from 'millrace';

interface Player {
  id: number;
}

/** Each line is wrong. */
export function mistakes(res: HttpResponse, req: HttpRequest, ws: WebSocket<Player>): void {
  // @ts-expect-error a number is no text
  ws.send(5);
  // @ts-expect-error objects are not serialized
  ws.send({ a: 1 });
  // @ts-expect-error a topic is a name
  ws.subscribe(7);
  // @ts-expect-error the user data has no such property
  req.getHeader(ws.getUserData().name);
  // @ts-expect-error a status is text
  res.writeStatus(404);
  // @ts-expect-error how long the whole body is
  res.tryEnd('x');
  // @ts-expect-error whether all was taken
  res.onWritable(() => {});
  // @ts-expect-error the body may be too long
  res.collectBody(10, (body: ArrayBuffer) => body);
  // @ts-expect-error the number of bytes to come is a bigint
  res.onDataV2((_chunk, remaining: number) => remaining);
  // @ts-expect-error five arguments
  res.upgrade({}, 'key', 'protocol', 'extensions');
  // @ts-expect-error it may be missing
  const value: string = req.getQuery('key');
  // @ts-expect-error a request cannot be written to
  req.end(value);
}

/** Of an App. */
export function mistakesOfTheApp(): void {
  // @ts-expect-error a handler
  App().get('/', 'text');
  // @ts-expect-error a pattern first
  App().get(() => {});
  // @ts-expect-error a callback last
  App().listen(9001);
  // @ts-expect-error the callback comes first
  App().listen_unix('/run/app.sock', () => {});
  // @ts-expect-error seconds
  App().ws('/', { idleTimeout: '120' });
  // @ts-expect-error no such option
  App().ws('/', { maxPayload: 100 });
  // @ts-expect-error no such option
  App({ port: 9001 });
  // @ts-expect-error only 0 and 1
  App().listen(9001, 2, () => {});
  // @ts-expect-error the token may be false
  App().listen(9001, (token) => us_socket_local_port(token));
  App().ws<Player>('/', {
    // @ts-expect-error a message is an ArrayBuffer
    message: (_ws, message: string) => message,
    open: (ws) => {
      // @ts-expect-error no such method
      ws.emit('message');
    },
  });
}
