import { serverFactory } from '@geut/fastify-uws';
import fastify from 'fastify';

const app = fastify({ serverFactory });
app.get('/hello/:name', async (request) => `Hello ${request.params.name}`);
app.post('/echo', async (request) => request.body);
const address = await app.listen({ port: 0, host: '127.0.0.1' });
console.log(`port ${new URL(address).port}`);
