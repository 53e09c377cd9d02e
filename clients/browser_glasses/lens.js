// What glasses show of a layout (protocol.md 6.1): green text of five lines on 640 by 200 points, as on an Even G1.

const WIDTH = 640, LINE = 38, TOP = 8, EDGE = 16, LINES = 5;
const FONT = "28px system-ui, sans-serif";

/** The lines of a text that fit into a width; the last shows that there is more. */
function wrapped(context, text, width, most) {
  const lines = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of paragraph.split(" ")) {
      const longer = line ? `${line} ${word}` : word;
      if (line && context.measureText(longer).width > width) {
        lines.push(line);
        line = word;
      } else {
        line = longer;
      }
    }
    lines.push(line);
  }
  if (lines.length > most) {
    lines.length = most;
    lines[most - 1] += " …";
  }
  return lines;
}

function column(context, text, x, y, width, most) {
  wrapped(context, text, width, most).forEach((line, at) => context.fillText(line, x, y + at * LINE, width));
}

/** What can be read of a layout, for a screen reader and for tests. */
export function textOf(layout) {
  switch (layout.layoutType) {
    case "text_wall": return layout.text ?? "";
    case "double_text_wall": return `${layout.topText ?? ""}\n${layout.bottomText ?? ""}`;
    case "reference_card": return `${layout.title ?? ""}\n${layout.text ?? ""}`;
    case "dashboard_card": return `${layout.leftText ?? ""}\n${layout.rightText ?? ""}`;
    case "bitmap_view": return "a picture";
    default: return "";
  }
}

/** A BMP as base64 or hex. */
function bytesOf(data) {
  if (/^[0-9a-fA-F\s]+$/.test(data) && data.replace(/\s/g, "").length % 2 === 0) {
    return Uint8Array.from(data.replace(/\s/g, "").match(/../g) ?? [], (pair) => parseInt(pair, 16));
  }
  return Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
}

async function picture(context, data) {
  const bitmap = await createImageBitmap(new Blob([bytesOf(data)], {type: "image/bmp"}));
  const scale = Math.min(1, WIDTH / bitmap.width, 200 / bitmap.height);
  context.drawImage(bitmap, 0, 0, bitmap.width * scale, bitmap.height * scale);
}

/** Draw a layout; what cannot be drawn leaves the lens dark. */
export async function draw(canvas, layout) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.font = FONT;
  context.textBaseline = "top";
  context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--lens").trim();
  const whole = WIDTH - 2 * EDGE, half = WIDTH / 2 - 1.5 * EDGE;
  switch (layout.layoutType) {
    case "text_wall":
      column(context, layout.text ?? "", EDGE, TOP, whole, LINES);
      break;
    case "double_text_wall":
      column(context, layout.topText ?? "", EDGE, TOP, whole, 2);
      column(context, layout.bottomText ?? "", EDGE, TOP + 3 * LINE, whole, 2);
      break;
    case "reference_card":
      context.font = `bold ${FONT}`;
      column(context, layout.title ?? "", EDGE, TOP, whole, 1);
      context.font = FONT;
      column(context, layout.text ?? "", EDGE, TOP + LINE, whole, LINES - 1);
      break;
    case "dashboard_card":
      column(context, layout.leftText ?? "", EDGE, TOP, half, LINES);
      column(context, layout.rightText ?? "", WIDTH / 2 + EDGE / 2, TOP, half, LINES);
      break;
    case "bitmap_view":
      await picture(context, layout.data ?? "");
      break;
    case "bitmap_animation":
      await picture(context, layout.frames?.[0] ?? "");
      break;
  }
}
