'use strict';
const { Server } = require('hyper-express');

const server = new Server();
server.get('/hello/:name', (request, response) => response.send(`Hello ${request.path_parameters.name}`));
server.post('/echo', async (request, response) => response.json(await request.json()));
void server.listen(0, '127.0.0.1').then(() => {
  console.log(`port ${server.port}`);
});
