/**
 * Seconds a peer has to follow our FIN. A socket closed with unread bytes is reset, and the reset may eat what was sent
 * last; so what the peer still sends is read in vain until its FIN.
 */
export const LINGER = 5;
