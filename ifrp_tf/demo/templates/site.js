// The page: a picture comes in, a face of it goes to the worker, what comes back is shown and can be kept.
import { opaque } from "./pixels.js";

const MOST = 16e6; // pixels of a canvas on a phone
const SMALL = 512; // longest side of what may be one face as a whole
const SQUARE = 1.35; // longer side by the shorter one, of the same
const LEAST = 32; // pixels of a box
const id = (name) => document.getElementById(name);
const side = Number(document.body.dataset.side);
const worker = new Worker("recover.js", { type: "module" });
let picture = null; // {name, width, height, data: RGB}
let asked = 0;
let drag = null;
let stream = null;
let drawn = null; // the box whose frame is seen

const say = (words, bad = false) => {
  id("message").textContent = words;
  id("message").classList.toggle("bad", bad);
};

const take = async (blob, name) => {
  let bitmap = null;
  try {
    bitmap = await createImageBitmap(blob); // upright, by its EXIF orientation
    const { width, height } = bitmap;
    if (width * height > MOST) {
      const scale = Math.sqrt(MOST / (width * height));
      const size = { resizeWidth: Math.floor(width * scale), resizeHeight: Math.floor(height * scale) };
      bitmap = await createImageBitmap(bitmap, { ...size, resizeQuality: "high" });
    }
  } catch {
    say(`“${name}” is no picture that this browser can read. JPEG, PNG and WebP are safe.`, true);
    return;
  }
  const canvas = id("picture");
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  picture = { name, ...opaque(context.getImageData(0, 0, canvas.width, canvas.height)) };
  id("work").hidden = false;
  id("result").hidden = true;
  id("frame").hidden = true;
  id("box").value = "";
  const [shorter, longer] = [picture.width, picture.height].sort((one, other) => one - other);
  if (longer <= SMALL && longer <= SQUARE * shorter) ask(null);
  else say(`${picture.width} x ${picture.height} pixels: drag a rectangle over a face.`);
};

const ask = (box) => {
  say("At work ...");
  asked += 1;
  worker.postMessage({ id: asked, picture, box, side });
};

const draw = (canvas, pixels) => {
  [canvas.width, canvas.height] = [side, side];
  const image = new ImageData(side, side);
  for (let k = 0; k < side * side; k++) image.data.set([...pixels.subarray(3 * k, 3 * k + 3), 255], 4 * k);
  canvas.getContext("2d").putImageData(image, 0, 0);
};

worker.onerror = (event) => say(`The network could not be loaded: ${event.message ?? "an old browser?"}`, true);
worker.onmessage = async ({ data }) => {
  if ("ready" in data) {
    document.body.dataset.ready = data.ready;
    if (!data.ready) say(`The network could not be loaded: ${data.error}`, true);
    else if (!picture) say("Ready for a picture.");
    return;
  }
  if (data.id !== asked) return; // another one was asked for since
  if (data.error) return say(data.error, true);
  draw(id("before"), data.portrait);
  draw(id("after"), data.face);
  const blob = await new Promise((done) => id("after").toBlob(done, "image/png"));
  const file = new Blob([labelled(new Uint8Array(await blob.arrayBuffer()), document.body.dataset.text)], { type: "image/png" });
  const link = id("download");
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(file);
  link.download = `${picture.name.replace(/\.\w+$/, "").replace(/[^\p{L}\p{N}-]+/gu, "_").slice(0, 40) || "picture"}_recovered.png`;
  id("result").hidden = false;
  say(`One plausible face, made in ${data.seconds.toFixed(2)} s.`);
};

// A PNG with a text chunk after its header: that it is generated, and by what.
const labelled = (png, text) => {
  const body = new TextEncoder().encode(`tEXtifrp_tf\0${text}`);
  const chunk = new Uint8Array(body.length + 8);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, body.length - 4);
  chunk.set(body, 4);
  let crc = -1;
  for (const byte of body) {
    crc ^= byte;
    for (let k = 0; k < 8; k++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  view.setUint32(body.length + 4, ~crc);
  const HEADER = 33;
  return new Blob([png.subarray(0, HEADER), chunk, png.subarray(HEADER)]);
};

// ---- Boxes ----

const inPixels = (event) => {
  const shown = id("picture").getBoundingClientRect();
  return [(event.clientX - shown.left) * (picture.width / shown.width), (event.clientY - shown.top) * (picture.height / shown.height)];
};

const boxTo = (event) => {
  const [x, y] = inPixels(event);
  const [left, top] = [Math.min(x, drag.x), Math.min(y, drag.y)];
  return { x: left, y: top, width: Math.abs(x - drag.x), height: Math.abs(y - drag.y) };
};

const outline = (box) => {
  drawn = box;
  const [shown, stage] = [id("picture").getBoundingClientRect(), id("stage").getBoundingClientRect()];
  const scale = shown.width / picture.width;
  const { style } = id("frame");
  style.left = `${shown.left - stage.left + box.x * scale}px`;
  style.top = `${shown.top - stage.top + box.y * scale}px`;
  style.width = `${box.width * scale}px`;
  style.height = `${box.height * scale}px`;
  id("frame").hidden = false;
};

new ResizeObserver(() => id("frame").hidden || outline(drawn)).observe(id("picture"));

const recoverIn = (box) => {
  const size = `The picture has ${picture.width} x ${picture.height} pixels.`;
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  if (!(box.width > 0 && box.height > 0 && x >= 0 && y >= 0 && x <= picture.width && y <= picture.height)) {
    return say(`The middle of that rectangle is not in the picture. ${size}`, true);
  }
  const longer = Math.max(box.width, box.height);
  if (longer < LEAST || longer > 1.5 * Math.max(picture.width, picture.height)) {
    return say(`A face needs a rectangle of at least ${LEAST} pixels, not far larger than the picture. ${size}`, true);
  }
  outline(box);
  ask(box);
};

id("picture").addEventListener("pointerdown", (event) => {
  if (!event.isPrimary || event.button !== 0) return;
  event.preventDefault();
  const [x, y] = inPixels(event);
  drag = { x, y };
  id("picture").setPointerCapture(event.pointerId);
});
id("picture").addEventListener("pointermove", (event) => drag && outline(boxTo(event)));
id("picture").addEventListener("pointerup", (event) => {
  if (!drag) return;
  const box = Object.fromEntries(Object.entries(boxTo(event)).map(([name, value]) => [name, Math.round(value)]));
  drag = null;
  id("box").value = [box.x, box.y, box.width, box.height].join(", ");
  recoverIn(box);
});
id("picture").addEventListener("pointercancel", () => { drag = null; });
id("typed").addEventListener("submit", (event) => {
  event.preventDefault();
  const numbers = (id("box").value.match(/-?\d+(\.\d+)?/g) ?? []).map(Number);
  if (numbers.length !== 4) return say("Four numbers are needed: x, y, width and height in pixels.", true);
  const [x, y, width, height] = numbers;
  recoverIn({ x, y, width, height });
});
id("whole").addEventListener("click", () => {
  id("frame").hidden = true;
  ask(null);
});

// ---- Where pictures come from ----

id("file").addEventListener("change", ({ target }) => {
  const [file] = target.files;
  if (file) take(file, file.name);
  target.value = "";
});
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    id("drop").classList.toggle("over", kind === "dragenter" || kind === "dragover");
    const [file] = (kind === "drop" && event.dataTransfer.files) || [];
    if (file) take(file, file.name);
  });
}
addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
  if (file) take(file, file.name);
});

const stopFilming = () => {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  id("filming").hidden = true;
};
id("camera").addEventListener("click", async () => {
  if (stream) return stopFilming();
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch {
    return say("There is no camera, or this page may not use it.", true);
  }
  id("filming").hidden = false;
  id("video").srcObject = stream;
  await id("video").play();
});
id("shoot").addEventListener("click", async () => {
  const video = id("video");
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  canvas.getContext("2d").drawImage(video, 0, 0);
  stopFilming();
  await take(await canvas.convertToBlob(), "camera.png");
});

// The style of a line is not in the markup, where the page's own policy forbids it.
id("slider").addEventListener("input", ({ target }) => id("compare").style.setProperty("--line", `${target.value}%`));
navigator.serviceWorker?.register("offline.js").then(
  () => navigator.serviceWorker.ready.then(() => { document.body.dataset.offline = "true"; }),
  () => {}, // the page works without it, while there is a network
);
