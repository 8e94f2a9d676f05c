'use strict';
const express = require('ultimate-express');

const app = express();
app.use(express.json());
app.get('/hello/:name', (req, res) => res.send(`Hello ${req.params.name}`));
app.post('/echo', (req, res) => res.json(req.body));
app.listen(0, () => {
  console.log(`port ${app.address().port}`);
});
