"use strict";
// The data are JSON in the page; text from them goes into the page as text, never as markup.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const VISIBLE = 1, OCCLUDED = 2, COMPLETED = 3;

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  Object.assign(made, attributes);
  return made;
}

// --- theme -----------------------------------------------------------------------------------
function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  $("theme").textContent = dark ? "Light" : "Dark";
  drawAll();
}

// --- drawing ---------------------------------------------------------------------------------
function prepared(canvas) {
  // Size the bitmap to the screen's pixels; return a context whose unit is a CSS pixel.
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth || 138, height = canvas.clientHeight || 138;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  return [context, width, height];
}

const sideColour = (name) => colour({ r: "--right", l: "--left" }[name[0]] || "--centre");
const boneColour = ([a, b]) =>
  data.joints[a][1] === "_" && data.joints[a][0] === data.joints[b][0]
    ? sideColour(data.joints[a]) : colour("--centre");

function drawImage(canvas, example, width) {
  const [context, w, h] = prepared(canvas);
  const scale = Math.min(w, h) / example.size;
  const paint = () => {
    context.save();
    context.translate((w - scale * example.size) / 2, (h - scale * example.size) / 2);
    context.scale(scale, scale);
    if (canvas.picture) context.drawImage(canvas.picture, 0, 0, example.size, example.size);
    draw2d(context, example, width / scale);
    context.restore();
  };
  if (!example.image_data) return paint();
  const picture = new Image();
  picture.onload = () => { canvas.picture = picture; paint(); };
  picture.src = "data:image/jpeg;base64," + example.image_data;
}

function draw2d(context, example, width) {
  const { xy, state } = example;
  const neck = [0, 1].map((i) => (xy[data.neck[0]][i] + xy[data.neck[1]][i]) / 2);
  const bones = data.bones.map(([a, b]) => [xy[a], xy[b], boneColour([a, b]), [a, b]]);
  bones.push([neck, xy[data.head], colour("--centre"), [...data.neck, data.head]]);
  context.lineWidth = width;
  context.lineCap = "round";
  for (const [from, to, stroke, ends] of bones) {
    if (ends.some((j) => state[j] === 0)) continue;
    context.strokeStyle = stroke;
    context.setLineDash(ends.some((j) => state[j] === COMPLETED) ? [2 * width, 2 * width] : []);
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(...to);
    context.stroke();
  }
  context.setLineDash([]);
  xy.forEach(([x, y], j) => {
    if (state[j] === 0) return;
    const r = 1.7 * width, made = state[j] === COMPLETED;
    context.beginPath();
    if (state[j] === OCCLUDED) context.rect(x - r, y - r, 2 * r, 2 * r);
    else context.arc(x, y, r, 0, 2 * Math.PI);
    context.fillStyle = made ? "#fff" : sideColour(data.joints[j]);
    context.strokeStyle = made ? sideColour(data.joints[j]) : "#fff";
    context.lineWidth = made ? 0.7 * width : 0.35 * width;
    context.fill();
    context.stroke();
  });
}

const START = { azimuth: 0.6, elevation: 0.18 };

function axesOf({ azimuth, elevation }) {
  // As posebank.report.drawing.view_axes: rows are the viewer's right, down and away.
  const [ca, sa] = [Math.cos(azimuth), Math.sin(azimuth)];
  const [ce, se] = [Math.cos(elevation), Math.sin(elevation)];
  return [[ca, 0, sa], [se * sa, ce, -se * ca], [-ce * sa, se, ce * ca]];
}

function draw3d(canvas, poses, view, span = 1150) {
  const [context, w, h] = prepared(canvas);
  const axes = axesOf(view), scale = Math.min(w, h) / (2 * span);
  const seen = (p) => axes.map((a) => a[0] * p[0] + a[1] * p[1] + a[2] * p[2]);
  const at = (p) => { const s = seen(p); return [w / 2 + scale * s[0], h / 2 + scale * s[1]]; };
  const line = (p, q, stroke, width, dash = []) => {
    context.strokeStyle = stroke;
    context.lineWidth = width;
    context.setLineDash(dash);
    context.beginPath();
    context.moveTo(...at(p));
    context.lineTo(...at(q));
    context.stroke();
  };
  context.lineCap = "round";
  if (!poses.length) return;
  const floor = Math.max(...poses[0].joints.map((p) => p[1]));
  for (let i = -1000; i <= 1000; i += 500) {
    line([i, floor, -1000], [i, floor, 1000], colour("--line"), 1);
    line([-1000, floor, i], [1000, floor, i], colour("--line"), 1);
  }
  poses.forEach(({ joints, faint }, number) => {
    const neck = [0, 1, 2].map((i) => (joints[data.neck[0]][i] + joints[data.neck[1]][i]) / 2);
    const bones = data.bones.map(([a, b]) => [joints[a], joints[b], boneColour([a, b])]);
    bones.push([neck, joints[data.head], colour("--centre")]);
    if (!number) {
      for (const [p, q] of bones) {
        line([p[0], floor, p[2]], [q[0], floor, q[2]], colour("--shade"), 3);
      }
    }
    bones.sort((a, b) => seen(b[0])[2] + seen(b[1])[2] - seen(a[0])[2] - seen(a[1])[2]);
    context.globalAlpha = faint ? 0.45 : 1;
    for (const [p, q, stroke] of bones) line(p, q, stroke, faint ? 2 : 3.2, faint ? [5, 5] : []);
    context.fillStyle = colour("--centre");
    context.beginPath();
    context.arc(...at(joints[data.head]), faint ? 3 : 5, 0, 2 * Math.PI);
    context.fill();
    context.globalAlpha = 1;
  });
}

function turnable(canvas, view, redraw) {
  canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
  canvas.addEventListener("pointermove", (event) => {
    if (!event.buttons) return;
    view.azimuth -= 0.01 * event.movementX;
    view.elevation = Math.max(-1.5, Math.min(1.5, view.elevation + 0.01 * event.movementY));
    redraw();
  });
}

// --- grid of labels ---------------------------------------------------------------------------
const SORTS = {
  "trust, highest first": (a, b) => b.trust - a.trust,
  "trust, lowest first": (a, b) => a.trust - b.trust,
  "matching error, smallest first": (a, b) => a.error_mm - b.error_mm,
  "matching error, largest first": (a, b) => b.error_mm - a.error_mm,
  "completed joints, most first": (a, b) => b.completed - a.completed,
  "camera roll, largest first": (a, b) => Math.abs(b.roll) - Math.abs(a.roll),
  "camera elevation, highest first": (a, b) => b.elevation - a.elevation,
  "data set and name": (a, b) => (a.person_id < b.person_id ? -1 : 1),
};
let listed = [];

function card(example) {
  const made = element("button", undefined, { className: "card", type: "button" });
  made.dataset.person = example.person_id;
  made.append(element("canvas"));
  made.append(element("span", `${example.dataset} ${example.name}`));
  made.append(element("span", `trust ${example.trust.toFixed(2)}`));
  made.append(element("span", errorText(example)));
  made.addEventListener("click", () => open(example));
  waiting.observe(made);
  made.example = example;
  return made;
}

const errorText = (e) => `${e.error_mm.toFixed(0)} mm on ${e.annotated} joints`;

const waiting = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    waiting.unobserve(target);
    drawImage(target.querySelector("canvas"), target.example, 2);
  }
}, { rootMargin: "300px" });

function filtered() {
  const within = (value, low, high) =>
    (low === "" || value >= Number(low)) && (high === "" || value <= Number(high));
  const chosen = (e) =>
    (!$("dataset").value || e.dataset === $("dataset").value) &&
    within(e.trust, $("trust-low").value, $("trust-high").value) &&
    within(e.error_mm, $("error-low").value, $("error-high").value) &&
    within(e.completed, $("completed-low").value, "") &&
    (!$("camera").value || e.camera === $("camera").value);
  return data.examples.filter(chosen).sort(SORTS[$("sort").value]);
}

const PAGE = 48;  // cards that are added at a time

function more() {
  const grid = $("grid"), begin = grid.children.length;
  grid.append(...listed.slice(begin, begin + PAGE).map(card));
  $("more").hidden = grid.children.length >= listed.length;
}

function refill() {
  listed = filtered();
  $("grid").replaceChildren();
  more();
  $("count").textContent = `${listed.length} of the ${data.examples.length} labels in this ` +
    `report; the workspace has ${data.n_labels.toLocaleString("en")}.`;
}

function fill(select, values, all) {
  if (all) select.append(element("option", all, { value: "" }));
  for (const value of values) select.append(element("option", value, { value }));
}

// --- one label --------------------------------------------------------------------------------
let current = null;
let shown = "label";
const view = { ...START };

function posesShown() {
  const label = { joints: current.pose };
  if (shown === "label") return [label];
  const joints = shown === "match" ? current.match : current.modes[Number(shown)].pose;
  return [{ joints }, { ...label, faint: true }];
}

function drawDialog() {
  if (!current) return;
  drawImage($("photo"), current, 3);
  draw3d($("pose"), posesShown(), view);
}

function open(example) {
  current = example;
  shown = "label";
  $("title").textContent = `${example.dataset} ${example.name}`;
  const buttons = [["label", "Label"], ["match", "Matched MoCap frame"]];
  example.modes.forEach((mode, i) =>
    buttons.push([String(i), `Mode ${i + 1}: weight ${(100 * mode.weight).toFixed(0)} %`]));
  $("shown").replaceChildren(...buttons.map(([key, text]) => {
    const button = element("button", text, { type: "button" });
    button.setAttribute("aria-pressed", key === shown);
    button.addEventListener("click", () => {
      shown = key;
      for (const other of $("shown").children) other.setAttribute("aria-pressed", other === button);
      drawDialog();
    });
    return button;
  }));
  const facts = [
    ["Person", example.person_id],
    ["Trust", `${example.trust.toFixed(2)}: probability that the mean joint error is below 150 mm`],
    ["Matching error", `${errorText(example)}, those annotated; ${example.error_norm.toFixed(3)} of the ` +
      "person's size"],
    ["Completed joints", example.completed_names.join(", ") || "none"],
    ["Matched frame", `data set ${example.matched.dataset}, clip ${example.matched.clip}, ` +
      `frame ${example.matched.frame}${example.matched.mirrored ? ", mirrored" : ""}`],
    ["Camera", `elevation ${example.elevation.toFixed(0)}°, roll ${example.roll.toFixed(0)}°`],
    ["Ambiguity", `${example.ambiguity_mm.toFixed(0)} mm`],
  ];
  $("facts").replaceChildren(...facts.flatMap(([k, v]) => [element("dt", k), element("dd", v)]));
  if (!$("dialog").open) $("dialog").showModal();
  $("photo").picture = null;
  drawDialog();
}

function step(by) {
  const order = listed.includes(current) ? listed : data.examples;
  open(order[(order.indexOf(current) + by + order.length) % order.length]);
}

// --- map of poses and anchor-poses --------------------------------------------------------------
function drawMap() {
  const canvas = $("map");
  if (!canvas) return;
  const [context, w, h] = prepared(canvas);
  const place = ([x, y]) => [10 + x / 1000 * (w - 20), 10 + y / 1000 * (h - 20)];
  const dots = (points, fill, r) => {
    context.fillStyle = fill;
    for (const point of points) {
      context.beginPath();
      context.arc(...place(point), r, 0, 2 * Math.PI);
      context.fill();
    }
  };
  dots(data.map.bank, colour("--shade"), 1.6);
  dots(data.map.people, colour("--accent"), 2);
  dots(data.map.anchors, colour("--right"), 4);
  canvas.nearest = (x, y) => {
    let best = null, least = 144;
    data.map.people.forEach((point, i) => {
      const [px, py] = place(point), d = (px - x) ** 2 + (py - y) ** 2;
      if (d < least) [best, least] = [i, d];
    });
    return best;
  };
}

const anchorView = { azimuth: 0, elevation: 0.1 };
function drawAnchors() {
  document.querySelectorAll("#anchors canvas").forEach((canvas, i) =>
    draw3d(canvas, [{ joints: data.anchors[i].pose }], anchorView, 1050));
}

function drawAll() {
  document.querySelectorAll(".card").forEach((c) => waiting.observe(c));
  drawMap();
  drawAnchors();
  drawDialog();
}

// --- start --------------------------------------------------------------------------------------
if (data.examples.length) {
  fill($("dataset"), [...new Set(data.examples.map((e) => e.dataset))].sort(), "all");
  fill($("camera"), [...new Set(data.examples.map((e) => e.camera))].sort(), "all");
  fill($("sort"), Object.keys(SORTS));
  $("filters").addEventListener("input", refill);
  $("more").addEventListener("click", more);
  $("clear").addEventListener("click", () => { $("filters").reset(); refill(); });
  refill();
  for (const strip of document.querySelectorAll(".strip")) {
    strip.append(...JSON.parse(strip.dataset.rows).map((row) => card(data.examples[row])));
  }
  turnable($("pose"), view, drawDialog);
  $("previous").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  $("close").addEventListener("click", () => $("dialog").close());
  $("front").addEventListener("click", () => {
    Object.assign(view, { azimuth: 0, elevation: 0 }); drawDialog();
  });
  document.addEventListener("keydown", (event) => {
    if (!$("dialog").open) return;
    if (event.key === "ArrowRight" || event.key === "j") step(1);
    if (event.key === "ArrowLeft" || event.key === "k") step(-1);
  });
}
if ($("anchors")) {
  for (const anchor of data.anchors) {
    const figure = element("figure"), canvas = element("canvas");
    figure.append(canvas, element("figcaption", `${anchor.id}: ${anchor.count} poses`));
    $("anchors").append(figure);
    turnable(canvas, anchorView, drawAnchors);
  }
}
if ($("map")) {
  $("map").addEventListener("click", (event) => {
    const person = $("map").nearest(event.offsetX, event.offsetY);
    if (person !== null) open(data.examples[person]);
  });
}
$("theme").addEventListener("click", () =>
  setTheme(document.documentElement.dataset.theme !== "dark"));
window.addEventListener("resize", drawAll);
setTheme(matchMedia("(prefers-color-scheme: dark)").matches);
