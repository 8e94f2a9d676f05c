import type { ReceivedRecord } from '../ring/record.ts';
import type { Links } from './links.ts';
import type { Message } from './message.ts';
import type { PublishResult } from './publish-result.ts';

/** How publishes go out of a thread, and to the sockets that it has, if any. */
export interface Delivery {
  /** To the sockets of this thread and to the other threads. The result is used again for the next. */
  publish(message: Message): PublishResult;
  /** A publish of another thread, for the sockets of this one. */
  onRemotePublish(record: ReceivedRecord): void;
  /** The other threads are those of these links from here on; null: there are none. */
  link(links: Links | null): void;
}
