// @ts-check
// Echo with millrace in one thread: node millrace.js messageView|message FOLDER
// The folder has the package.json and dist/ of the build to run.
import { loadBuild } from './build.js';
import { isDeflating, MAX_PAYLOAD, ready, tlsFiles } from './ready.js';

const [handler, folder = ''] = process.argv.slice(2);
const { millrace, version } = await loadBuild(folder);

/** @type {import('../../../src/index.ts').WebSocketBehavior} */
const echo =
  handler === 'message'
    ? {
        message: (ws, message, isBinary) => {
          ws.send(message, isBinary, isDeflating);
        },
      }
    : {
        messageView: (ws, view, isBinary) => {
          ws.send(view, isBinary, isDeflating);
        },
      };

const compression = isDeflating ? millrace.SHARED_COMPRESSOR | millrace.SHARED_DECOMPRESSOR : 0;
const app =
  tlsFiles === undefined
    ? millrace.App()
    : millrace.SSLApp({ key_file_name: tlsFiles.key, cert_file_name: tlsFiles.cert });
app
  .ws('/*', { ...echo, maxPayloadLength: MAX_PAYLOAD, maxBackpressure: MAX_PAYLOAD, compression })
  .listen('127.0.0.1', 0, (socket) => {
    if (!socket) throw new Error('cannot listen');
    ready({ name: `millrace ${handler}`, version, port: socket.port });
  });
