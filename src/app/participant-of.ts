import type { Participant } from '../bus/participant.ts';
import { partsOf, type TemplatedApp } from './app.ts';
import { mainParticipantOf, Server } from './server.ts';

/**
 * What the thread of an App, or the main thread of a server, takes part in with the others: requests, owners of names,
 * state that is handed over. For what is built on Apps in this package; not public.
 */
export function participantOf(of: TemplatedApp | Server): Participant {
  return of instanceof Server ? mainParticipantOf(of) : partsOf(of).shard.participant;
}
