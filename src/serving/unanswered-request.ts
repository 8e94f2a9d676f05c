import type { HttpConnection } from './http-connection.ts';
import type { IncomingRequest, KeptRequest } from './incoming-request.ts';
import type { OutgoingResponse } from './outgoing-response.ts';
import type { UpgradeTarget } from './upgrade-target.ts';

/** RequestOwner: passes a request on to the next handler. */
export interface RequestOwner {
  passOn(request: UnansweredRequest): void;
}

/** UnansweredRequest: what is known of a request whose handler returned before it answered. */
export class UnansweredRequest implements KeptRequest {
  readonly connection: HttpConnection;
  readonly response: OutgoingResponse;
  /** The route of the handshake; null: the request asks for none. */
  readonly target: UpgradeTarget | null;
  readonly bytes: Uint8Array;
  readonly isLasting = true;
  /** How many handlers it was tried with. */
  readonly tried: number;
  readonly #owner: RequestOwner;
  readonly #request: IncomingRequest;
  #isPassedOn = false;

  constructor(
    owner: RequestOwner,
    connection: HttpConnection,
    response: OutgoingResponse,
    request: IncomingRequest,
    target: UpgradeTarget | null,
    bytes: Uint8Array,
    tried: number,
  ) {
    this.#owner = owner;
    this.connection = connection;
    this.response = response;
    this.#request = request;
    this.target = target;
    this.bytes = bytes;
    this.tried = tried;
  }

  /** The handlers behind it are called when the one that passes it on is done, to the end of its microtasks. */
  yielded(): void {
    process.nextTick(() => {
      if (this.#isPassedOn || !this.#request.hasYielded) return;
      this.#isPassedOn = true;
      this.#owner.passOn(this);
    });
  }
}
