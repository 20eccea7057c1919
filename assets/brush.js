// Where holes are painted: a photo with a mask over it. Strokes are kept as what was done, not as pixels, so that any number of them
// can be taken back; the mask itself is drawn from them. Make asks for it through ``imaginarium.mask``.
imaginarium.brush = (() => {
  const { make, quiet, icon } = imaginarium;
  const SVG = "http://www.w3.org/2000/svg";
  const FINEST = 512, SHARPEST = 1024; // px, longest side on which is painted
  const NEAR = 0.6, AROUND = 0.12; // what is smaller than such a part of the photo is zoomed in on, with so much around it
  const SMALLEST = 0.01, LARGEST = 0.4, STEP = 1.25; // the brush's diameter in parts of the shorter side
  const TOOLS = { paint: ["Paint", "Paint what should be imagined anew (P)"], erase: ["Erase", "Take paint away (E)"], box: ["Rectangle", "Drag a rectangle (R)"] };

  // How a photo of that size is painted on: [width, height] in px.
  function paintingSize({ width, height }) {
    const longest = Math.max(width, height), scale = Math.min(Math.max(longest, FINEST), SHARPEST) / longest;
    return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  }

  // Draws one thing that was done onto a mask: opaque is a hole.
  function apply(pen, act) {
    const { width, height } = pen.canvas;
    pen.save();
    pen.globalCompositeOperation = act.erase ? "destination-out" : "source-over";
    pen.fillStyle = pen.strokeStyle = "#fff";
    if (act.kind === "stroke") {
      Object.assign(pen, { lineWidth: act.size, lineCap: "round", lineJoin: "round" });
      pen.beginPath();
      const [first, ...rest] = act.points;
      pen.moveTo(...first);
      if (!rest.length) pen.lineTo(first[0], first[1] + 0.01); // a dab
      rest.forEach((point) => pen.lineTo(...point));
      pen.stroke();
    } else if (act.kind === "box") pen.fillRect(act.x, act.y, act.width, act.height);
    else if (act.kind === "image") { pen.clearRect(0, 0, width, height); pen.drawImage(act.image, 0, 0, width, height); }
    else if (act.kind === "clear") pen.clearRect(0, 0, width, height);
    else if (act.kind === "invert") { pen.globalCompositeOperation = "xor"; pen.fillRect(0, 0, width, height); }
    pen.restore();
  }

  // A mask picture (white is the hole) at the painting's size, its dark parts transparent.
  function cutOut(image, width, height) {
    const sheet = make("canvas", { width, height }), pen = sheet.getContext("2d");
    pen.drawImage(image, 0, 0, width, height);
    const pixels = pen.getImageData(0, 0, width, height), parts = pixels.data;
    for (let place = 0; place < parts.length; place += 4) {
      const hole = (parts[place] + parts[place + 1] + parts[place + 2]) * parts[place + 3] > 382 * 255;
      parts[place + 3] = hole ? 255 : 0;
    }
    pen.putImageData(pixels, 0, 0);
    return sheet;
  }

  /** The painting field in ``figure`` with its tools in ``bar``; ``changed`` is called after each change, ``moved(near)`` when it zooms,
   * ``say`` says a sentence. ``zoom`` is the button that does that. */
  return (figure, bar, changed, moved, say) => {
    const photo = make("img", { className: "brush-photo", alt: "", draggable: false });
    const overlay = make("canvas", { className: "brush-overlay" });
    const seen = document.createElementNS(SVG, "svg"); // what the network sees: four corners, the rest is dimmed
    seen.setAttribute("class", "brush-seen");
    seen.setAttribute("viewBox", "0 0 1 1");
    seen.setAttribute("preserveAspectRatio", "none");
    const ring = make("span", { className: "brush-ring", hidden: true });
    const sheet = make("div", { className: "brush-sheet" }, photo, seen, overlay, ring); // the whole photo; zoomed in, the field shows a part
    const field = make("div", { className: "brush-field", tabIndex: 0, role: "application", hidden: true,
      ariaLabel: "Paint over what should be imagined anew. Arrows move the brush, Space paints, [ and ] change its size." }, sheet);
    figure.replaceChildren(field);
    const mask = make("canvas", { width: 1, height: 1 });
    const pen = mask.getContext("2d", { willReadFrequently: true });
    let shown = null, tool = "paint", size = 0.12, done = [], undone = [], current = null, at = [0.5, 0.5], loading = 0, near = false;

    // In px of the mask: a part of the shorter side of what is in sight.
    function diameter() {
      const [, , width, height] = near ? part() : [0, 0, 1, 1];
      return size * Math.min(width * mask.width, height * mask.height);
    }

    // ------------------------------------------------------------ tools

    const tools = Object.entries(TOOLS).map(([name, [text, title]]) => quiet(text, () => choose(name),
      { className: `quiet brush-${name}`, title, role: "radio" }));
    const dial = make("input", { type: "range", min: 0, max: 100, className: "brush-size", ariaLabel: "Brush size", title: "Brush size ([ and ])" });
    const toValue = () => Math.round((100 * Math.log(size / SMALLEST)) / Math.log(LARGEST / SMALLEST));
    dial.addEventListener("input", () => resize(SMALLEST * (LARGEST / SMALLEST) ** (dial.value / 100)));
    const undo = icon("↶", "Take the last stroke back (Ctrl Z)", () => back(), { className: "icon brush-undo" });
    const redo = icon("↷", "Paint it again (Ctrl Shift Z)", () => forward(), { className: "icon brush-redo" });
    const picker = make("input", { type: "file", accept: "image/*", hidden: true, className: "mask-picker" });
    const zoom = quiet("", () => { near = !near; layOut(); show(); moved(near); }, { className: "quiet brush-zoom", hidden: true,
      title: "Only what the network sees, or all of the photo" });
    picker.addEventListener("change", () => { if (picker.files[0]) readMask(picker.files[0]); picker.value = ""; });
    bar.replaceChildren(make("div", { className: "row brush-kinds", role: "radiogroup", ariaLabel: "Tool" }, ...tools), dial, undo, redo,
      quiet("Invert", () => act({ kind: "invert" }), { className: "quiet brush-invert", title: "Holes become photo, photo becomes holes" }),
      quiet("Clear", () => act({ kind: "clear" }), { className: "quiet brush-clear", title: "No hole at all" }),
      quiet("Random patch", randomPatch, { className: "quiet brush-patch", title: "A square hole somewhere, 50 of the 128 pixels of what the network sees, as in the paper" }),
      quiet("Load mask", () => picker.click(), { className: "quiet brush-load", title: "A picture of the photo's shape: white is the hole" }), picker);

    function choose(name) {
      tool = name;
      tools.forEach((button) => { button.ariaChecked = String(button.classList.contains(`brush-${name}`)); });
      showRing();
    }

    function resize(wanted) {
      size = Math.min(Math.max(wanted, SMALLEST), LARGEST);
      dial.value = toValue();
      showRing();
    }

    // ------------------------------------------------------------ what was done

    function act(one) {
      if (!shown) return;
      done.push(one);
      undone = [];
      apply(pen, one);
      show();
    }

    function back() {
      if (!done.length) return;
      undone.push(done.pop());
      repaint();
    }

    function forward() {
      if (!undone.length) return;
      done.push(undone.pop());
      repaint();
    }

    function repaint() {
      pen.clearRect(0, 0, mask.width, mask.height);
      done.forEach((one) => apply(pen, one));
      show();
    }

    const corners = () => (shown.seen || [[0, 0], [1, 0], [1, 1], [0, 1]]).map(onMask);

    // As in the paper 50 of 128 pixels of what the network sees, and all of it in there.
    function randomPatch() {
      if (!shown) return;
      const [from, across, , down] = corners(), part = 50 / 128, side = part * Math.hypot(across[0] - from[0], across[1] - from[1]);
      const [u, v] = [0, 1].map(() => part / 2 + Math.random() * (1 - part));
      const [x, y] = [0, 1].map((axis) => Math.round(from[axis] + u * (across[axis] - from[axis]) + v * (down[axis] - from[axis]) - side / 2));
      act({ kind: "box", x, y, width: Math.round(side), height: Math.round(side) });
    }

    function drawSeen() {
      seen.replaceChildren();
      if (!shown.seen) return;
      const line = shown.seen.map((corner) => corner.join(",")).join(" ");
      const rest = document.createElementNS(SVG, "path"), edge = document.createElementNS(SVG, "polygon");
      rest.setAttribute("d", `M0,0H1V1H0Z M${shown.seen.map((corner) => corner.join(",")).join("L")}Z`);
      edge.setAttribute("points", line);
      seen.append(rest, edge);
    }

    async function readMask(file) {
      const image = make("img", { src: URL.createObjectURL(file) });
      try {
        await image.decode();
      } catch {
        return say(`${file.name} is no picture: load a mask in which the hole is white.`);
      }
      if (Math.abs(Math.log((image.naturalWidth / image.naturalHeight) / (shown.width / shown.height))) > 0.02)
        return say(`${file.name} has another shape than the photo (${image.naturalWidth} by ${image.naturalHeight}): save the mask at the photo's size.`);
      act({ kind: "image", image: cutOut(image, mask.width, mask.height) });
      URL.revokeObjectURL(image.src);
    }

    // ------------------------------------------------------------ what is seen

    function show() {
      const ink = overlay.getContext("2d");
      ink.clearRect(0, 0, overlay.width, overlay.height);
      ink.drawImage(mask, 0, 0);
      if (current) apply(ink, current);
      ink.globalCompositeOperation = "source-in"; // the paint's colour wherever the mask is opaque
      ink.fillStyle = stripes(ink);
      ink.fillRect(0, 0, overlay.width, overlay.height);
      ink.globalCompositeOperation = "source-over";
      undo.disabled = !done.length;
      redo.disabled = !undone.length;
      Object.assign(field.dataset, { acts: done.length, photo: shown.name }); // the page's tests wait for it
      changed();
    }

    function stripes(ink) {
      const side = Math.max(4, Math.round(((near ? part()[2] : 1) * overlay.width) / 60)), tile = make("canvas", { width: side, height: side }), brush = tile.getContext("2d");
      const colour = getComputedStyle(field).getPropertyValue("--accent");
      brush.globalAlpha = 0.62;
      brush.fillStyle = colour;
      brush.fillRect(0, 0, side, side);
      Object.assign(brush, { globalAlpha: 0.35, strokeStyle: "#fff", lineWidth: side / 6 });
      for (const shift of [-side, 0, side]) {
        brush.beginPath();
        brush.moveTo(shift, side);
        brush.lineTo(shift + side, 0);
        brush.stroke();
      }
      return ink.createPattern(tile, "repeat");
    }

    function showRing() {
      if (!sheet.clientWidth) return;
      const scale = sheet.clientWidth / mask.width, side = tool === "box" ? 12 : diameter() * scale;
      Object.assign(ring.style, { left: `${100 * at[0]}%`, top: `${100 * at[1]}%`, width: `${side}px`, height: `${side}px` });
      ring.classList.toggle("square", tool === "box");
    }

    // Zoomed in, the field shows what the network sees with a little around it.
    function layOut() {
      const [x, y, width, height] = near ? part() : [0, 0, 1, 1];
      figure.style.setProperty("--ratio", (shown.width * width) / (shown.height * height));
      Object.assign(sheet.style, { left: `${(-100 * x) / width}%`, top: `${(-100 * y) / height}%`, width: `${100 / width}%`, height: `${100 / height}%` });
      zoom.hidden = !shown.seen || smallest(part()) >= NEAR;
      zoom.textContent = near ? "Whole photo" : "Zoom in";
      zoom.ariaPressed = String(near);
      showRing();
    }

    function part() {
      const sides = [0, 1].map((axis) => {
        const places = shown.seen.map((corner) => corner[axis]), room = AROUND * (Math.max(...places) - Math.min(...places));
        const from = Math.max(Math.min(...places) - room, 0);
        return [from, Math.min(Math.max(...places) + room, 1) - from];
      });
      return [sides[0][0], sides[1][0], sides[0][1], sides[1][1]];
    }
    const smallest = ([, , width, height]) => Math.min(width, height);

    // ------------------------------------------------------------ pointer

    const spot = (event) => {
      const box = sheet.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    };
    const inside = (part) => Math.min(Math.max(part, 0), 1);
    const onMask = ([x, y]) => [x * mask.width, y * mask.height];

    function begin(from, erase) {
      if (tool === "box") current = { kind: "box", from: from.map(inside), erase, x: 0, y: 0, width: 0, height: 0 };
      else current = { kind: "stroke", erase: erase || tool === "erase", size: diameter(), points: [onMask(from)] };
    }

    function go(to) {
      if (current.kind === "stroke") current.points.push(onMask(to));
      else {
        const [x0, y0] = onMask(current.from), [x1, y1] = onMask(to.map(inside));
        Object.assign(current, { x: Math.min(x0, x1), y: Math.min(y0, y1), width: Math.abs(x1 - x0), height: Math.abs(y1 - y0) });
      }
    }

    function end() {
      const one = current;
      current = null;
      if (one && !(one.kind === "box" && (one.width < 1 || one.height < 1))) act(one);
      else show();
    }

    field.addEventListener("pointerdown", (event) => {
      if (!event.isPrimary || event.button > 2 || event.button === 1) return;
      event.preventDefault();
      field.focus({ preventScroll: true });
      field.setPointerCapture(event.pointerId);
      at = spot(event);
      begin(at, event.button === 2 || event.altKey);
      showRing();
      show();
    });
    field.addEventListener("pointermove", (event) => {
      if (!event.isPrimary) return;
      at = spot(event);
      ring.hidden = event.pointerType === "touch" && !current;
      showRing();
      if (!current) return;
      const passed = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
      (passed.length ? passed : [event]).forEach((one) => go(spot(one)));
      show();
    });
    field.addEventListener("pointerup", (event) => event.isPrimary && end());
    field.addEventListener("pointercancel", (event) => { if (event.isPrimary) { current = null; show(); } });
    field.addEventListener("pointerleave", () => { ring.hidden = !field.matches(":focus-visible"); });
    field.addEventListener("contextmenu", (event) => event.preventDefault());
    field.addEventListener("focus", () => { ring.hidden = false; showRing(); });
    field.addEventListener("blur", () => { ring.hidden = true; });

    // ------------------------------------------------------------ keys

    const ARROWS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

    // Shift with an arrow draws a line, Space a dab; with the rectangle Space is its one corner, then the other.
    function onField(event) {
      const by = ARROWS[event.key];
      if (by) {
        const from = at, step = diameter() / 2;
        at = [inside(at[0] + (by[0] * step) / mask.width), inside(at[1] + (by[1] * step) / mask.height)];
        if (current && current.kind === "box") { go(at); show(); }
        else if (event.shiftKey && tool !== "box") { begin(from, false); go(at); end(); }
      } else if (event.key === " ") {
        if (tool !== "box") { begin(at, false); end(); }
        else if (current) end();
        else begin(at, false);
      } else if (event.key === "Escape" && current) { current = null; show(); }
      else return;
      event.preventDefault();
      event.stopPropagation();
      showRing();
    }
    field.addEventListener("keydown", onField);

    function onPage(event) {
      if (!field.offsetParent || event.target.closest("input:not([type=range]), textarea, select, dialog")) return;
      const control = event.ctrlKey || event.metaKey, key = event.key.toLowerCase();
      if (control && key === "z") { if (event.shiftKey) forward(); else back(); }
      else if (control || event.altKey) return;
      else if (key === "[" || key === "]") resize(key === "[" ? size / STEP : size * STEP);
      else if (key === "p" || key === "e" || key === "r") choose({ p: "paint", e: "erase", r: "box" }[key]);
      else return;
      event.preventDefault();
    }
    document.addEventListener("keydown", onPage);
    new ResizeObserver(showRing).observe(field);

    // ------------------------------------------------------------ from outside

    /** Another photo, {id, src, width, height, seen: its four corners in parts of it, or null}; the same one keeps what is painted. */
    function open(next) {
      const was = shown, same = was && next && was.id === next.id;
      shown = next;
      field.hidden = !next;
      bar.hidden = !next;
      if (!next) return;
      if (photo.getAttribute("src") !== next.src) photo.src = next.src;
      drawSeen();
      const known = same ? was.seen : null, found = next.seen && JSON.stringify(known) !== JSON.stringify(next.seen);
      if (found) near = smallest(part()) < NEAR;
      else if (!next.seen) near = false;
      layOut();
      if (found || !same) moved(near);
      if (same) return;
      [mask.width, mask.height] = [overlay.width, overlay.height] = paintingSize(next);
      [done, undone] = [[], []];
      at = next.seen ? [0, 1].map((axis) => (next.seen[0][axis] + next.seen[2][axis]) / 2) : [0.5, 0.5];
      show();
      resize(size);
    }

    /** A mask that came from elsewhere, an address of a picture; it is one step that can be taken back. */
    async function load(src) {
      const turn = ++loading, image = make("img", { src });
      await image.decode();
      if (turn === loading) act({ kind: "image", image: cutOut(image, mask.width, mask.height) });
    }

    /** White holes on black as the address of a PNG, "" if nothing is painted. */
    function read() {
      if (!shown || !mask.width) return "";
      const sheet = make("canvas", { width: mask.width, height: mask.height }), paper = sheet.getContext("2d");
      paper.drawImage(mask, 0, 0);
      const painted = paper.getImageData(0, 0, sheet.width, sheet.height).data.some((part, place) => place % 4 === 3 && part > 127);
      paper.globalCompositeOperation = "destination-over";
      paper.fillRect(0, 0, sheet.width, sheet.height);
      return painted ? sheet.toDataURL("image/png") : "";
    }

    choose("paint");
    resize(size);
    open(null);
    return { open, load, read, zoom, photo: () => (shown ? shown.id : "") };
  };
})();
