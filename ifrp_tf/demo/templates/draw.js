// A rectangle drawn on the picture with its faces: typed, so to say, into the field below it, and sent off.
(() => {
  "use strict";
  const PICTURE = "#found img";
  const LEAST = 6; // pixels of the screen; less is a click
  let drag = null;

  // Where the picture lies in its element, which may be wider or higher.
  const place = (image) => {
    const box = image.getBoundingClientRect();
    const scale = Math.min(box.width / image.naturalWidth, box.height / image.naturalHeight);
    const width = scale * image.naturalWidth;
    const height = scale * image.naturalHeight;
    return { left: box.left + (box.width - width) / 2, top: box.top + (box.height - height) / 2, width, height };
  };

  const rectangle = (event) => ({
    left: Math.min(drag.x, event.clientX),
    top: Math.min(drag.y, event.clientY),
    width: Math.abs(event.clientX - drag.x),
    height: Math.abs(event.clientY - drag.y),
  });

  const end = () => {
    drag?.frame.remove();
    drag = null;
  };

  const send = (box) => {
    const field = document.querySelector("#box textarea, #box input");
    const kind = field.tagName === "INPUT" ? HTMLInputElement : HTMLTextAreaElement;
    Object.getOwnPropertyDescriptor(kind.prototype, "value").set.call(field, box.map(Math.round).join(", "));
    field.dispatchEvent(new Event("input", { bubbles: true }));
    setTimeout(() => document.querySelector("#draw").click(), 50); // the page has to take note of it first
  };

  document.addEventListener("pointerdown", (event) => {
    const image = event.target.closest?.(PICTURE);
    if (!image?.naturalWidth || !event.isPrimary || event.button !== 0) return;
    event.preventDefault();
    end();
    const frame = document.body.appendChild(document.createElement("div"));
    frame.className = "drawn-frame";
    drag = { image, frame, id: event.pointerId, x: event.clientX, y: event.clientY };
    image.setPointerCapture(event.pointerId);
  });
  document.addEventListener("pointermove", (event) => {
    if (event.pointerId !== drag?.id) return;
    const box = rectangle(event);
    for (const side in box) drag.frame.style[side] = `${box[side]}px`;
  });
  document.addEventListener("pointerup", (event) => {
    if (event.pointerId !== drag?.id) return;
    const box = rectangle(event);
    const shown = place(drag.image);
    const pixels = document.querySelector("#message [data-width]")?.dataset;
    end();
    if (!pixels || Math.max(box.width, box.height) < LEAST) return;
    const scale = pixels.width / shown.width;
    send([box.left - shown.left, box.top - shown.top, box.width, box.height].map((one) => one * scale));
  });
  document.addEventListener("pointercancel", end);
  document.addEventListener("keydown", (event) => event.key === "Escape" && end());
  // Otherwise a browser would drag the picture itself away.
  document.addEventListener("dragstart", (event) => event.target.closest?.(PICTURE) && event.preventDefault());
})();
