// @ts-check
// The app module of stomp-millrace.js.

/** The broker is that of the build that runs. @type {import('../../../src/index.ts').AppModule} */
export default async (app, shard) => {
  const { stompBroker } = await import(/** @type {{ stomp: string }} */ (shard.data).stomp);
  stompBroker(app, { path: '/stomp', heartBeat: [0, 0] });
};
