// Pixels to the square that the network sees, by the rules of `ifrp_tf/pictures`: framing.letterbox and geometry.cut.
// A picture is {width, height, data: Uint8ClampedArray or Uint8Array of RGB}; what is computed here follows Pillow's C code.

const BITS = 22; // of the fixed-point weights of a filter
const KEPT = 4; // times finer than what is cut out a picture stays that is made smaller before
const MARGIN = 3; // pixels more than the corners ask for
const APART = 12; // levels within which a picture is of one colour

const keys = (x) => {
  const far = Math.abs(x);
  if (far < 1) return (1.5 * far - 2.5) * far * far + 1;
  return far < 2 ? (((far - 5) * far + 8) * far - 4) * -0.5 : 0;
};

// For each output pixel where its input begins and the whole-numbered weights.
const weights = (from, to) => {
  const scale = from / to;
  const stretch = Math.max(1, scale);
  return Array.from({ length: to }, (_, index) => {
    const centre = (index + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - 2 * stretch + 0.5));
    const end = Math.min(from, Math.trunc(centre + 2 * stretch + 0.5));
    const given = Array.from({ length: end - start }, (_, k) => keys((k + start - centre + 0.5) / stretch));
    const sum = given.reduce((one, other) => one + other, 0);
    const whole = given.map((one) => Math.trunc((one / sum) * 2 ** BITS + (one < 0 ? -0.5 : 0.5)));
    return { start, whole };
  });
};

const clip = (level) => Math.max(0, Math.min(255, level));

// Along one axis: `step` numbers lie between neighbours of a line, `lines` says where each line begins.
const filtered = (data, from, to, result, fromLines, toLines, step) => {
  const table = weights(from, to);
  fromLines.forEach((origin, line) => {
    table.forEach(({ start, whole }, index) => {
      for (let c = 0; c < 3; c++) {
        let sum = 2 ** (BITS - 1);
        for (let k = 0; k < whole.length; k++) sum += data[origin + (start + k) * step.from + c] * whole[k];
        result[toLines[line] + index * step.to + c] = clip(Math.floor(sum / 2 ** BITS));
      }
    });
  });
};

const range = (count, step) => Array.from({ length: count }, (_, k) => k * step);

// Bicubic, antialiased, the width first.
export const resize = (picture, width, height) => {
  let { data } = picture;
  if (picture.width !== width) {
    const across = new Uint8Array(3 * width * picture.height);
    const lines = [range(picture.height, 3 * picture.width), range(picture.height, 3 * width)];
    filtered(data, picture.width, width, across, ...lines, { from: 3, to: 3 });
    data = across;
  }
  if (picture.height !== height) {
    const down = new Uint8Array(3 * width * height);
    const lines = range(width, 3);
    filtered(data, picture.height, height, down, lines, lines, { from: 3 * width, to: 3 * width });
    data = down;
  }
  return { width, height, data };
};

// The part that begins at x and y; outside of the picture its border is repeated.
const region = (picture, x, y, width, height) => {
  const data = new Uint8Array(3 * width * height);
  for (let row = 0; row < height; row++) {
    const from = Math.max(0, Math.min(picture.height - 1, y + row)) * picture.width;
    for (let column = 0; column < width; column++) {
      const at = 3 * (from + Math.max(0, Math.min(picture.width - 1, x + column)));
      data.set(picture.data.subarray(at, at + 3), 3 * (row * width + column));
    }
  }
  return { width, height, data };
};

// A whole picture in a square of `side`; what is missing is shared evenly, its border repeated.
export const letterbox = (picture, side) => {
  const longer = Math.max(picture.width, picture.height);
  const fit = (length) => Math.max(1, Math.floor((2 * length * side + longer) / (2 * longer)));
  const [width, height] = [fit(picture.width), fit(picture.height)];
  const inner = resize(picture, width, height);
  return region(inner, -Math.floor((side - width) / 2), -Math.floor((side - height) / 2), side, side);
};

// Means of blocks; those at the right and at the bottom may be smaller.
const reduce = (picture, factor) => {
  const [width, height] = [Math.ceil(picture.width / factor), Math.ceil(picture.height / factor)];
  const data = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [right, bottom] = [Math.min(picture.width, (x + 1) * factor), Math.min(picture.height, (y + 1) * factor)];
      const count = (right - x * factor) * (bottom - y * factor);
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let j = y * factor; j < bottom; j++) {
          for (let i = x * factor; i < right; i++) sum += picture.data[3 * (j * picture.width + i) + c];
        }
        data[3 * (y * width + x) + c] = Math.floor(sum / count + 0.5);
      }
    }
  }
  return { width, height, data };
};

// Through four neighbours in a row, as Pillow's transforms do it (a = -1).
const cubic = (a, b, c, d, at) => b + at * (c - a + at * (2 * (a - b) + c - d + at * (b - a + d - c)));

// The square frame of a box {x, y, width, height}: its middle, its longer side. Border pixels are repeated outside.
export const cut = (picture, box, side) => {
  let place = {
    x: box.x + box.width / 2, y: box.y + box.height / 2, side: Math.max(box.width, box.height),
  };
  const factor = Math.trunc(place.side / side / KEPT);
  if (factor >= 2) {
    picture = reduce(picture, factor);
    place = { x: place.x / factor, y: place.y / factor, side: place.side / factor };
  }
  const margin = Math.ceil(MARGIN * Math.max(1, place.side / 64));
  const [left, top] = [place.x, place.y].map((middle) => Math.floor(middle - place.side / 2) - margin);
  const [right, bottom] = [place.x, place.y].map((middle) => Math.ceil(middle + place.side / 2) + margin);
  let view = region(picture, left, top, right - left, bottom - top);
  const shrink = Math.max(1, place.side / side);
  const size = [view.width, view.height].map((length) => Math.max(1, roundHalfEven(length / shrink)));
  const scale = [size[0] / view.width, size[1] / view.height];
  if (shrink > 1) view = resize(view, ...size);
  const step = scale.map((one) => (place.side * one) / side);
  const start = [(place.x - place.side / 2 - left) * scale[0], (place.y - place.side / 2 - top) * scale[1]];
  const data = new Uint8Array(3 * side * side);
  const at = (row, column, c) => {
    const y = Math.max(0, Math.min(view.height - 1, row));
    return view.data[3 * (y * view.width + Math.max(0, Math.min(view.width - 1, column))) + c];
  };
  for (let y = 0; y < side; y++) {
    const down = start[1] + step[1] * (y + 0.5) - 0.5;
    const row = Math.floor(down);
    for (let x = 0; x < side; x++) {
      const across = start[0] + step[0] * (x + 0.5) - 0.5;
      const column = Math.floor(across);
      for (let c = 0; c < 3; c++) {
        const lines = [-1, 0, 1, 2].map((j) =>
          cubic(...[-1, 0, 1, 2].map((i) => at(row + j, column + i, c)), across - column));
        data[3 * (y * side + x) + c] = clip(Math.trunc(cubic(...lines, down - row)));
      }
    }
  }
  return { width: side, height: side, data };
};

const roundHalfEven = (value) => {
  const whole = Math.round(value);
  return Math.abs(value % 1) === 0.5 && whole % 2 ? whole - 1 : whole;
};

// RGBA of a canvas to RGB; what is transparent is laid on the mean colour of its opaque edge.
export const opaque = ({ width, height, data }) => {
  const result = new Uint8Array(3 * width * height);
  const solid = (x, y) => x < 0 || y < 0 || x >= width || y >= height || data[4 * (y * width + x) + 3] >= 250;
  const sum = [0, 0, 0, 0];
  let clear = false;
  for (let k = 0; k < width * height && !clear; k++) clear = data[4 * k + 3] < 255;
  for (let k = 0; clear && k < width * height; k++) {
    const [x, y] = [k % width, Math.floor(k / width)];
    if (!solid(x, y)) continue;
    let edge = false;
    for (let j = -1; j < 2; j++) for (let i = -1; i < 2; i++) edge ||= !solid(x + i, y + j);
    if (!edge) continue;
    for (let c = 0; c < 3; c++) sum[c] += data[4 * k + c];
    sum[3]++;
  }
  const ground = [0, 1, 2].map((c) => (sum[3] ? Math.floor(sum[c] / sum[3] + 0.5) : 255));
  for (let k = 0; k < width * height; k++) {
    const share = data[4 * k + 3] / 255;
    for (let c = 0; c < 3; c++) {
      result[3 * k + c] = Math.floor(share * data[4 * k + c] + (1 - share) * ground[c] + 0.5);
    }
  }
  return { width, height, data: result };
};

export const flat = ({ data }) => {
  for (let c = 0; c < 3; c++) {
    let [low, high] = [255, 0];
    for (let k = c; k < data.length; k += 3) [low, high] = [Math.min(low, data[k]), Math.max(high, data[k])];
    if (high - low > APART) return false;
  }
  return true;
};
