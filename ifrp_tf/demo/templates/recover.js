// The network, in a worker of its own: {id, picture, box, side} to {id, portrait, face, seconds} or {id, error}.
import * as ort from "./ort.wasm.min.mjs";
import { cut, flat, letterbox } from "./pixels.js";

// A host may hand out what is packed as it lies there, or unpack it on the way.
const unpacked = async (name) => {
  const answer = await fetch(name);
  if (!answer.ok) throw new Error(`${name}: ${answer.status} ${answer.statusText}`);
  const bytes = await answer.arrayBuffer();
  const [first, second] = new Uint8Array(bytes, 0, 2);
  if (first !== 0x1f || second !== 0x8b) return bytes;
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
};

const load = async () => {
  const [runtime, network] = await Promise.all(["runtime.wasm.gz", "network.onnx.gz"].map(unpacked));
  ort.env.wasm.wasmBinary = runtime;
  ort.env.wasm.wasmPaths = { mjs: new URL("ort-wasm-simd-threaded.mjs", import.meta.url).href };
  ort.env.wasm.numThreads = 1; // more need headers that a plain host does not send
  return ort.InferenceSession.create(new Uint8Array(network), { executionProviders: ["wasm"] });
};

const recover = async (session, portrait, side) => {
  const input = Float32Array.from(portrait.data, (level) => level / 127.5 - 1);
  const tensor = new ort.Tensor("float32", input, [1, side, side, 3]);
  const answers = await session.run({ [session.inputNames[0]]: tensor });
  const { data } = answers[session.outputNames[0]];
  return Uint8Array.from(data, (value) => {
    if (!Number.isFinite(value)) throw new Error("The network's answer is not finite.");
    return Math.floor(Math.max(0, Math.min(255, (value + 1) * 127.5)) + 0.5);
  });
};

const loaded = load();
loaded.then(() => postMessage({ ready: true }), (error) => postMessage({ ready: false, error: String(error) }));

onmessage = async ({ data: { id, picture, box, side } }) => {
  try {
    const session = await loaded;
    const portrait = box ? cut(picture, box, side) : letterbox(picture, side);
    if (flat(portrait)) throw new Error("There is nothing to be seen there: it is of one colour, or nearly.");
    const start = performance.now();
    const face = await recover(session, portrait, side);
    postMessage({ id, portrait: portrait.data, face, seconds: (performance.now() - start) / 1000 });
  } catch (error) {
    postMessage({ id, error: error.message ?? String(error) });
  }
};
