import type { RawData, WebSocket } from 'ws';
import { startWs, type WsServer } from './ws-server.ts';

/** A frame as this broker sees it. */
export interface SimpleFrame {
  readonly command: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What a delivery may be changed to: nothing (lost), itself, or several. */
export type Change = (frame: SimpleFrame, number: number) => readonly SimpleFrame[];

export interface SimpleBrokerOptions {
  /** The version that CONNECTED says. */
  version?: string;
  /** Changes MESSAGEs, which are numbered over all connections from 0 on. */
  change?: Change;
  /** Whether a frame gets its RECEIPT. */
  confirms?: (frame: SimpleFrame) => boolean;
  /** An ERROR for a frame: the connection is closed behind it. */
  refuses?: (frame: SimpleFrame) => SimpleFrame | null;
}

export interface SimpleBroker extends WsServer {
  /** All that clients sent, but for SENDs. */
  readonly frames: SimpleFrame[];
  /** Deliveries of queues that are not acknowledged. */
  readonly unacknowledged: Map<string, SimpleFrame>;
}

interface Subscription {
  readonly socket: WebSocket;
  readonly id: string;
  readonly ack: string;
}

/**
 * A broker as simple as can be, written for what the load tool sends: topics, queues in turn, receipts, acknowledgements. It
 * ends with the test.
 */
export async function startSimpleBroker(options: SimpleBrokerOptions = {}): Promise<SimpleBroker> {
  const {
    version = '1.2',
    change = (frame) => [frame],
    confirms = () => true,
    refuses = () => null,
  } = options;
  const frames: SimpleFrame[] = [];
  const unacknowledged = new Map<string, SimpleFrame>();
  const subscriptions = new Map<string, Subscription[]>();
  let delivered = 0;
  const send = (socket: WebSocket, frame: SimpleFrame): void => {
    const lines = Object.entries(frame.headers).map(([name, value]) => `${name}:${value}\n`);
    socket.send(`${frame.command}\n${lines.join('')}\n${frame.body}\0`);
  };
  const deliver = ({ socket, id, ack }: Subscription, { headers, body }: SimpleFrame): void => {
    const number = delivered++;
    const message: Record<string, string> = {
      destination: headers['destination']!,
      subscription: id,
      'message-id': `m-${number}`,
      'content-length': String(body.length),
    };
    if (ack !== 'auto') message['ack'] = `ack-${number}`;
    const made: SimpleFrame = { command: 'MESSAGE', headers: message, body };
    if (ack !== 'auto') unacknowledged.set(version === '1.2' ? `ack-${number}` : `m-${number}`, made);
    for (const frame of change(made, number)) send(socket, frame);
  };
  const handle = (socket: WebSocket, frame: SimpleFrame): void => {
    const { command, headers } = frame;
    const destination = headers['destination'] ?? '';
    const error = refuses(frame);
    if (error !== null) {
      send(socket, error);
      socket.close();
      return;
    }
    if (command === 'CONNECT') send(socket, { command: 'CONNECTED', headers: { version }, body: '' });
    else if (command === 'SUBSCRIBE') {
      const list = subscriptions.get(destination) ?? [];
      subscriptions.set(destination, [...list, { socket, id: headers['id']!, ack: headers['ack']! }]);
    } else if (command === 'SEND') {
      const list = subscriptions.get(destination) ?? [];
      if (destination.startsWith('/topic/')) for (const to of list) deliver(to, frame);
      else {
        const [first, ...others] = list;
        deliver(first!, frame);
        subscriptions.set(destination, [...others, first!]);
      }
    } else if (command === 'ACK') {
      const id = headers['id'] ?? headers['message-id']!;
      const isCumulative =
        [...subscriptions.values()].flat().find((s) => s.socket === socket)?.ack === 'client';
      for (const known of unacknowledged.keys()) {
        // The load tool has one subscription on a connection: numbers grow.
        const isBefore = isCumulative && Number(known.split('-')[1]) < Number(id.split('-')[1]);
        if (known === id || isBefore) unacknowledged.delete(known);
      }
    }
    const { receipt } = headers;
    if (receipt !== undefined && confirms(frame)) {
      send(socket, { command: 'RECEIPT', headers: { 'receipt-id': receipt }, body: '' });
    }
  };
  const started = await startWs(
    (socket, data) => {
      for (const frame of parseFrames(data)) {
        if (frame.command !== 'SEND') frames.push(frame);
        handle(socket, frame);
      }
    },
    {
      handleProtocols: (protocols) => {
        const [first] = protocols;
        return first ?? false;
      },
    },
  );
  return Object.assign(started, { frames, unacknowledged });
}

function parseFrames(data: RawData): SimpleFrame[] {
  return (data as Buffer)
    .toString()
    .split('\0')
    .filter((text) => text !== '')
    .map((text) => {
      const end = text.indexOf('\n\n');
      const [command, ...lines] = text.slice(0, end).split('\n');
      const headers = Object.fromEntries(lines.map((line) => line.split(/:(.*)/s, 2) as [string, string]));
      return { command: command!, headers, body: text.slice(end + 2) };
    });
}
