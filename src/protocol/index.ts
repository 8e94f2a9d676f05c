/** The door `millrace/protocol`: the sans-I/O WebSocket core, server and client role. */
export { BufferPool } from './buffer-pool.ts';
export {
  type ClientRequest,
  checkServerResponse,
  clientRequest,
  type ExpectedResponse,
  type HandshakeResponse,
} from './client-handshake.ts';
export {
  CloseCode,
  closePayloadCode,
  closePayloadError,
  isValidCloseCode,
  writeClosePayload,
} from './close-code.ts';
export {
  Compression,
  type CompressionSettings,
  compressionSettings,
  isCompression,
} from './compression.ts';
export {
  Connection,
  ConnectionContext,
  type ConnectionHandler,
  type ConnectionOptions,
  type ConnectionPorts,
  ConnectionState,
} from './connection.ts';
export { type ExtensionOffer, type ExtensionParam, formatExtensions, parseExtensions } from './extension.ts';
export { headerLength, writeHeader, writeMaskedHeader } from './frame-header.ts';
export {
  FRAME_HEADROOM,
  type FrameHandler,
  FrameParser,
  type FrameRules,
  FrameState,
} from './frame-parser.ts';
export {
  acceptValue,
  checkUpgrade,
  type HandshakeFailure,
  type HandshakeRequest,
  isUpgradeRequest,
  type Sha1Port,
} from './handshake.ts';
export { applyMask, rotateMask, wordsOf } from './mask.ts';
export {
  type DeflatePort,
  type Deflater,
  deflateForMany,
  InflateError,
  type Inflater,
  MessageDeflate,
} from './message-deflate.ts';
export { isControl, Opcode } from './opcode.ts';
export { isOriginAllowed, type OriginPolicy } from './origin.ts';
export {
  acceptDeflate,
  checkDeflateAnswer,
  type DeflateAgreement,
  type DeflateOfferOptions,
  type DeflateParams,
  deflateOffer,
  MAX_WINDOW_BITS,
  MIN_WINDOW_BITS,
  PERMESSAGE_DEFLATE,
} from './permessage-deflate.ts';
export { type MessageHandler, Receiver, type ReceiverLimits, ReceiverState } from './receiver.ts';
export { type Output, type Role, Sender, type TextPort } from './sender.ts';
export { parseSubprotocols, selectSubprotocol } from './subprotocol.ts';
export { UTF8_ACCEPT, UTF8_REJECT, type Utf8Port, validateUtf8, validateUtf8Fast } from './utf8.ts';
