/**
 * Programs in the manner of uWebSockets.js. They are not run: that they compile against the package's typings, in all
 * forms and with user data, is what they show.
 */
import * as uWS from 'millrace';
import uWSDefault, {
  App,
  type AppOptions,
  DeclarativeResponse,
  DISABLED,
  getParts,
  type HttpRequest,
  type HttpResponse,
  LIBUS_LISTEN_EXCLUSIVE_PORT,
  type MultipartField,
  type RecognizedString,
  SSLApp,
  type TemplatedApp,
  us_listen_socket_close,
  us_socket_local_port,
  type WebSocket,
  type WebSocketBehavior,
} from 'millrace';

interface Player {
  id: number;
  name: string;
}

/** Every member of the App. */
export function everyMethodOfTheApp(options: AppOptions): TemplatedApp {
  const handler = (res: HttpResponse, _req: HttpRequest): void => {
    res.end();
  };
  const declared = new DeclarativeResponse()
    .writeStatus('200 OK')
    .writeHeader('a', 'b')
    .writeHeaders({ c: 'd' })
    .writeQueryValue('q')
    .writeHeaderValue('host')
    .writeParameterValue('id')
    .write('text')
    .writeBody()
    .end('end');
  const app = App(options)
    .get('/a', handler)
    .post('/a', async (res) => {
      res.onAborted(() => {});
      await Promise.resolve();
    })
    .options('/a', handler)
    .del('/a', null)
    .patch('/a', declared)
    .put('/a', handler)
    .head('/a', handler)
    .connect('/a', handler)
    .trace('/a', handler)
    .any('/*', handler)
    .domain('example.com')
    .filter((res: HttpResponse, count: number) => {
      if (count > 0) res.getRemotePort();
    })
    .addServerName('*.example.com', { key_file_name: 'key.pem', cert_file_name: 'cert.pem' })
    .removeServerName('*.example.com')
    .missingServerName((hostname: string) => {
      app.addServerName(hostname, {});
    })
    .onHttpParsingError((_req: HttpRequest | undefined, _status: number, _body: ArrayBuffer) => {});
  const token = (socket: uWS.us_listen_socket | false): void => {
    if (socket) {
      const port: number = us_socket_local_port(socket);
      us_listen_socket_close(socket);
      uWS._cfg(String(port));
    }
  };
  app
    .listen(9001, token)
    .listen('0.0.0.0', 9001, token)
    .listen(9001, LIBUS_LISTEN_EXCLUSIVE_PORT, token)
    .listen('::', 9001, uWS.ListenOptions.LIBUS_LISTEN_DEFAULT, token)
    .listen_unix(token, '/run/app.sock')
    .adoptSocket(7);
  app.addChildAppDescriptor(App().getDescriptor());
  app.removeChildAppDescriptor(App().getDescriptor());
  const count: number = app.numSubscribers('topic');
  const isPublished: boolean = app.publish('topic', new Uint8Array(count), true, false);
  return isPublished ? app : app.close();
}

/** Apps made with and without new, from the default and the namespace. */
export const apps: TemplatedApp[] = [
  App(),
  new App(),
  uWS.App({}),
  uWSDefault.App(),
  SSLApp({ key_file_name: 'key.pem', cert_file_name: 'cert.pem', passphrase: '1234', ssl_ciphers: 'HIGH' }),
  new SSLApp({ ca_file_name: 'ca.pem', dh_params_file_name: 'dh.pem', ssl_prefer_low_memory_usage: true }),
];

/** Every member of the request. */
export function everyMethodOfTheRequest(req: HttpRequest): (string | undefined)[] {
  const header: string = req.getHeader('host');
  const url: string = req.getUrl();
  const method: string = req.getMethod();
  const sensitive: string = req.getCaseSensitiveMethod();
  const query: string = req.getQuery();
  req.forEach((key: string, value: string) => key + value);
  const same: HttpRequest = req.setYield(true);
  return [
    header,
    url,
    method,
    sensitive,
    query,
    same.getQuery('q'),
    req.getParameter(0),
    req.getParameter('id'),
  ];
}

/** Every member of the response. */
export function everyMethodOfTheResponse(res: HttpResponse): void {
  const chained: HttpResponse = res
    .writeStatus('200 OK')
    .writeHeader('key', 'value')
    .onAborted(() => {})
    .onWritable((offset: number) => offset > 0)
    .onData((chunk: ArrayBuffer, isLast: boolean) => [chunk.byteLength, isLast])
    .onDataV2((chunk: ArrayBuffer, maxRemainingBodyLength: bigint) => [chunk, maxRemainingBodyLength === 0n])
    .collectBody(1024, (body: ArrayBuffer | null) => body?.byteLength)
    .cork(() => {})
    .collect(() => {});
  const isFree: boolean = chained.write(new ArrayBuffer(8));
  const [ok, done]: [boolean, boolean] = res.tryEnd('body', 100);
  const offset: number = res.getWriteOffset();
  res.pause();
  res.resume();
  const addresses: ArrayBuffer[] = [
    res.getRemoteAddress(),
    res.getRemoteAddressAsText(),
    res.getProxiedRemoteAddress(),
    res.getProxiedRemoteAddressAsText(),
  ];
  const ports: number[] = [res.getRemotePort(), res.getProxiedRemotePort()];
  const certificate: string = res.getX509Certificate();
  res.endWithoutBody(100, true).end('body', true).endWithoutBody().end().close();
  // Fields of the user.
  res['user'] = { isFree, ok, done, offset, addresses, ports, certificate };
  res['anything'] = 1;
  res['anything'].of.any.kind();
}

/** Every option and handler, with user data. */
export const behavior: WebSocketBehavior<Player> = {
  maxPayloadLength: 16 * 1024,
  idleTimeout: 120,
  maxBackpressure: 64 * 1024,
  closeOnBackpressureLimit: false,
  sendPingsAutomatically: true,
  maxLifetime: 0,
  compression: uWS.SHARED_COMPRESSOR | uWS.DEDICATED_DECOMPRESSOR_4KB | DISABLED,
  upgrade: (res, req, context) => {
    res.upgrade<Player>(
      { id: 1, name: req.getQuery('name') ?? '' },
      req.getHeader('sec-websocket-key'),
      req.getHeader('sec-websocket-protocol'),
      req.getHeader('sec-websocket-extensions'),
      context,
    );
  },
  open: (ws) => {
    const { id, name }: Player = ws.getUserData();
    ws.subscribe(`player/${id}/${name}`);
  },
  message: (ws: WebSocket<Player>, message: ArrayBuffer, isBinary: boolean) => {
    ws.publish('all', message, isBinary, true);
  },
  dropped: (ws, message, isBinary) => {
    ws.getUserData().name += `${message.byteLength} ${isBinary}`;
  },
  drain: (ws) => ws.getBufferedAmount(),
  close: (ws, code: number, message: ArrayBuffer) => {
    ws.getUserData().id = code + message.byteLength;
  },
  ping: (_ws, _message: ArrayBuffer) => {},
  pong: async (_ws, _message: ArrayBuffer) => {},
  subscription: (_ws, _topic: ArrayBuffer, _newCount: number, _oldCount: number) => {},
};

/** An upgrade that decides later, with the types of uWebSockets.js by name. */
export async function upgradeLater(
  res: HttpResponse,
  req: HttpRequest,
  context: uWS.us_socket_context_t,
): Promise<void> {
  let isAborted = false;
  res.onAborted(() => {
    isAborted = true;
  });
  const key = req.getHeader('sec-websocket-key');
  await Promise.resolve();
  if (isAborted) return;
  res.cork(() => {
    res.upgrade<Player>({ id: 2, name: 'later' }, key, '', '', context);
  });
}

/** Every member of the WebSocket. */
export function everyMethodOfTheWebSocket(ws: WebSocket<Player>): void {
  const statuses: number[] = [
    ws.send('text'),
    ws.send(new Uint8Array(1), true, true),
    ws.sendFirstFragment('a', false, true),
    ws.sendFragment('b', true),
    ws.sendLastFragment('c', true),
    ws.ping(),
    ws.ping('payload'),
  ];
  const booleans: boolean[] = [
    ws.subscribe('topic'),
    ws.unsubscribe('topic'),
    ws.isSubscribed('topic'),
    ws.publish('topic', 'message'),
  ];
  const topics: string[] = ws.getTopics();
  const same: WebSocket<Player> = ws.cork(() => {
    ws.send(String([statuses, booleans, topics]));
  });
  const addresses: ArrayBuffer[] = [ws.getRemoteAddress(), ws.getRemoteAddressAsText()];
  const player: Player = same.getUserData();
  player.id = ws.getRemotePort() + ws.getBufferedAmount() + addresses.length;
  ws.end();
  ws.end(1000);
  ws.end(1000, 'reason');
  ws.close();
}

/** What can be sent. */
export const sendable: RecognizedString[] = [
  'text',
  new ArrayBuffer(1),
  new Uint8Array(1),
  new Int8Array(1),
  new Uint16Array(1),
  new Int16Array(1),
  new Uint32Array(1),
  new Int32Array(1),
  new Float32Array(1),
  new Float64Array(1),
  new DataView(new ArrayBuffer(1)),
  Buffer.from('bytes'),
];

/** Parts of a form. */
export function partsOf(body: ArrayBuffer, contentType: string): string[] {
  const parts: MultipartField[] = getParts(body, contentType) ?? [];
  return parts.map(({ data, name, type, filename }) => `${data.byteLength} ${name} ${type} ${filename}`);
}

App()
  .ws<Player>('/player', behavior)
  .ws('/plain', { message: (ws, message, isBinary) => void ws.send(message, isBinary) })
  .ws<{ room: string }>('/room', {
    open(ws) {
      // The properties of the user data are on the socket too.
      ws.subscribe(ws.room);
    },
  });
