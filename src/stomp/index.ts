/** STOMP brokers on millrace: `import { stompBroker } from 'millrace/stomp'`. */
export { type AppHandler, AppMessage } from './broker/app-destinations.ts';
export { type StompBroker, stompBroker } from './broker/broker.ts';
export type {
  ChangedMessage,
  StompBrokerOptions,
  StompLogin,
  StompVerdict,
} from './broker/broker-options.ts';
export type { ConnectedClient } from './broker/destination-kind.ts';
export {
  type MessageHeaders,
  type PublishOptions,
  type StompPublisher,
  stompPublisher,
} from './broker/publisher.ts';
export { StompError, StompFault, type StompHeaders, type StompVersion } from './codec/frame.ts';
export type { HandshakeRequest } from './front/handshake-request.ts';
export type { TcpOptions } from './front/tcp-options.ts';
