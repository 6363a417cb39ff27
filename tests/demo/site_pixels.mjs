// Answers `letterbox`, `cut` and `opaque` of pixels.js to a JSON of base64 pictures: [{what, width, height, data, ...}].
import { readFileSync } from "node:fs";

const pixels = await import(process.argv[2]);
const cases = JSON.parse(readFileSync(0, "utf8"));
const answers = cases.map(({ what, width, height, data, box, side }) => {
  const picture = { width, height, data: new Uint8Array(Buffer.from(data, "base64")) };
  const answer = { letterbox: () => pixels.letterbox(picture, side), cut: () => pixels.cut(picture, box, side),
    opaque: () => pixels.opaque(picture) }[what]();
  return Buffer.from(answer.data).toString("base64");
});
console.log(JSON.stringify(answers));
