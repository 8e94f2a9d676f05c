import { threadId } from 'node:worker_threads';
import { AddressTable, NO_ADDRESS } from '../admission/address-table.ts';
import type { LinkMemory } from '../bus/link-memory.ts';
import { Links } from '../bus/links.ts';
import { Counter } from '../metrics/counter.ts';
import { connectChannel } from '../net/handoff-channel.ts';
import { HandoffReceiver } from '../net/handoff-receiver.ts';
import { ACCEPT_BACKOFF } from '../net/listener.ts';
import type { PipeHandle, TcpHandle } from '../net/node-internals.ts';
import { AckTable } from '../ring/ack-table.ts';
import { Doorbell } from '../ring/doorbell.ts';
import { GROUP_ROW, type Shard } from '../shard/shard.ts';
import { type AppDescriptor, createDescriptor } from './app-descriptor.ts';
import { GREETING, type GroupMessage, type Invite, mailboxOf, type Welcome } from './group-message.ts';
import { NamedPort } from './named-port.ts';

/**
 * AppMember: an App that gave a descriptor, and may be joined to the acceptor App of another thread. It keeps its
 * thread alive, as connections may come at any time.
 */
export class AppMember {
  readonly descriptor: AppDescriptor = createDescriptor();
  readonly #shard: Shard;
  readonly #serve: (socket: TcpHandle, row: number) => void;
  /** Why this App cannot be a child now; '' when it can. */
  readonly #obstacle: () => string;
  readonly #mailbox: NamedPort<Invite>;
  /** The group it is in, or was invited to. */
  #group: { readonly name: string; readonly port: NamedPort<GroupMessage> } | null = null;
  #welcome: Welcome | null = null;
  #receiver: HandoffReceiver | null = null;
  #links: Links | null = null;
  /** This App was invited by the group it is in: the acceptor lost the channel before this side saw its end. */
  #isInvitedAgain = false;
  #isClosed = false;

  constructor(shard: Shard, serve: (socket: TcpHandle, row: number) => void, obstacle: () => string) {
    this.#shard = shard;
    this.#serve = serve;
    this.#obstacle = obstacle;
    this.#mailbox = new NamedPort<Invite>(mailboxOf(this.descriptor), (invite) => {
      this.#onInvite(invite);
    });
  }

  /** Whether it shares topics with an acceptor. */
  get isJoined(): boolean {
    return this.#links !== null;
  }

  /** The memory of the topics it shares. */
  get memory(): LinkMemory | null {
    return this.#links === null ? null : (this.#welcome?.links ?? null);
  }

  /** Leaves. What the acceptor has sent and was not taken goes to other children. */
  close(): void {
    this.#isClosed = true;
    this.#mailbox.close();
    this.#leave();
    this.#group?.port.close();
    this.#group = null;
  }

  #onInvite({ group }: Invite): void {
    if (this.#isClosed) return;
    const isMine = this.#group?.name === group;
    if (isMine && this.#receiver !== null) {
      this.#isInvitedAgain = true;
      return;
    }
    const obstacle = this.#receiver === null ? this.#obstacle() : 'it is the child of another App';
    if (obstacle !== '') {
      NamedPort.post<GroupMessage>(group, {
        type: 'refusal',
        app: this.descriptor,
        thread: threadId,
        reason: obstacle,
      });
      return;
    }
    if (!isMine) {
      this.#group?.port.close();
      this.#welcome = null;
      const port = new NamedPort<GroupMessage>(group, (message) => {
        this.#onMessage(message);
      });
      this.#group = { name: group, port: port.unref() };
    }
    this.#sayHello();
  }

  #sayHello(): void {
    this.#group?.port.post({ type: 'hello', app: this.descriptor });
  }

  #onMessage(message: GroupMessage): void {
    switch (message.type) {
      case 'member-up':
        if (this.#links !== null) this.#links.addThread(message.index, message.inbox);
        else if (this.#welcome !== null) this.#welcome.links.inboxes[message.index] = message.inbox;
        break;
      case 'welcome':
        if (message.app === this.descriptor && this.#receiver === null) void this.#connect(message);
        break;
      case 'hello':
      case 'refusal':
        break;
    }
  }

  async #connect(welcome: Welcome): Promise<void> {
    this.#welcome = welcome;
    let pipe: PipeHandle;
    try {
      pipe = await connectChannel(welcome.path);
    } catch {
      // The listener is closed, or there are no descriptors: asks for another.
      setTimeout(() => {
        if (this.#welcome === welcome && this.#receiver === null && !this.#isClosed) this.#sayHello();
      }, ACCEPT_BACKOFF);
      return;
    }
    if (this.#welcome !== welcome || this.#receiver !== null || this.#isClosed) {
      pipe.close();
      return;
    }
    const acks = new AckTable(welcome.acks);
    const doorbell = new Doorbell(welcome.ackDoorbell, 0);
    this.#receiver = new HandoffReceiver(
      pipe,
      (socket, bytes) => {
        const isGreeting = bytes.length === GREETING.length;
        // Only now is the number this App's own.
        if (isGreeting) this.#join(welcome);
        // Before the socket is read from: one that was acknowledged is not sent to another App.
        acks.add(welcome.index);
        doorbell.ring();
        if (!isGreeting) this.#take(socket, bytes.readInt32LE(0));
      },
      () => {
        this.#ended();
      },
    );
  }

  #take(socket: TcpHandle | null, groupRow: number): void {
    const row = groupRow === NO_ADDRESS ? NO_ADDRESS : groupRow + GROUP_ROW;
    if (socket === null) {
      this.#shard.lost(row);
      return;
    }
    this.#shard.count(Counter.ADOPTED);
    this.#serve(socket, row);
  }

  #join({ links: memory, index, addresses }: Welcome): void {
    if (this.#links !== null) return;
    const links = new Links(memory, index, () => {});
    // In the middle of a publish; all that can come now is that threads have joined or left.
    links.onUnknownThread = (): void => {
      this.#group?.port.receiveNow();
    };
    this.#links = links;
    this.#shard.link(links);
    if (addresses !== null) this.#shard.countGroupAddresses(new AddressTable(addresses), index);
  }

  /** The acceptor is gone, or has given this channel up. */
  #ended(): void {
    this.#leave();
    if (this.#isInvitedAgain) {
      this.#isInvitedAgain = false;
      this.#sayHello();
    }
  }

  /** First the rings, then the channel: the next App with this number must be the only one to read them. */
  #leave(): void {
    if (this.#links !== null) this.#shard.unlink();
    this.#shard.forgetGroupAddresses();
    this.#links = null;
    this.#welcome = null;
    this.#receiver?.close();
    this.#receiver = null;
  }
}
