// The page's own behaviour: source, canvas, inspector and strip are drawn here from the values that Python sends.
// Every text reaches the page through textContent, so a file name can never become markup.
window.imaginarium = (() => {
  "use strict";

  const byId = (id) => document.getElementById(id);

  function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (name in node && name !== "list") node[name] = value;
      else node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
    return node;
  }

  const link = (file) => (file ? file.url : "");

  function download(file) {
    if (!file) return;
    const anchor = make("a", { href: link(file), download: file.orig_name });
    document.body.append(anchor);
    anchor.click();
    anchor.remove();
  }

  // ---------------------------------------------------------------- source

  // Everything that arrives (chosen, dropped, pasted, taken) goes through gradio's own upload: it checks size and place.
  function send(files) {
    const input = byId("upload") && byId("upload").previousElementSibling; // gradio keeps the button's file input before it
    const list = [...files].filter((file) => file instanceof File);
    if (!input || !list.length) return;
    const transfer = new DataTransfer();
    list.forEach((file) => transfer.items.add(file));
    input.files = transfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
    const card = document.querySelector(".drop-card");
    if (card) card.classList.add("reading");
  }

  function source(root, { trigger, watch, props }) {
    const picker = make("input", { type: "file", accept: "image/*,.heic,.heif,.avif", multiple: true, hidden: true, id: "picker" });
    picker.addEventListener("change", () => { send(picker.files); picker.value = ""; });
    const people = make("div", { className: "people", role: "list", ariaLabel: "Photos" });
    const samples = make("div", { className: "samples" });
    const note = make("p", { className: "note", role: "status" });
    const card = make("div", { className: "drop-card" },
      make("p", { className: "drop-title", textContent: "Drop photos of people" }),
      make("p", { className: "hint", textContent: "or paste them, or a picture made here to restore its settings" }),
      make("div", { className: "row" },
        make("button", { type: "button", className: "quiet", id: "choose-files", textContent: "Choose files", onclick: () => picker.click() }),
        make("button", { type: "button", className: "quiet", id: "open-camera", textContent: "Camera", onclick: openCamera })));
    root.replaceChildren(picker, card, note, people, samples);

    function draw() {
      const value = props.value || { photos: [], samples: [], note: null };
      card.classList.remove("reading");
      note.textContent = value.note ? value.note.text : "";
      note.classList.toggle("error", Boolean(value.note && value.note.error));
      people.replaceChildren(...value.photos.map((photo) => personRow(photo, trigger)));
      samples.replaceChildren(...sampleRow(value.samples, trigger));
    }
    watch("value", draw);
    draw();
  }

  function sampleRow(samples, trigger) {
    if (!samples.length) return [];
    const buttons = samples.map((sample) => make("button", {
      type: "button", className: "sample", title: sample.title, ariaLabel: `Use the sample ${sample.title}`,
      onclick: () => trigger("sample", { name: sample.name }),
    }, make("img", { src: link(sample.src), alt: "" })));
    return [make("span", { className: "hint", textContent: "Samples" }), ...buttons];
  }

  function personRow(photo, trigger) {
    const open = () => openChooser(photo, trigger);
    const row = make("div", { className: "person", role: "listitem" },
      make("button", { type: "button", className: "thumb", title: "See the photo and choose the face", onclick: open },
        make("img", { src: link(photo.thumb || photo.src), alt: photo.name })),
      make("div", { className: "person-words" },
        make("span", { className: "person-name", textContent: photo.name, title: photo.name }),
        make("span", { className: photo.trouble ? "hint error" : "hint", textContent: photo.words })),
      make("button", { type: "button", className: "icon", textContent: "×", title: "Remove", ariaLabel: `Remove ${photo.name}`,
        onclick: () => trigger("remove", { photo: photo.id }) }));
    const extras = make("div", { className: "person-extras" });
    if (photo.faces.length > 1) {
      extras.append(...photo.faces.map((face) => make("button", {
        type: "button", className: "face" + (face.index === photo.chosen ? " on" : ""), title: `Person ${face.index + 1}`,
        ariaLabel: `Choose person ${face.index + 1}`, ariaPressed: String(face.index === photo.chosen),
        onclick: () => trigger("choose", { photo: photo.id, face: face.index }),
      }, make("img", { src: link(face.thumb), alt: "" }))));
    }
    if (photo.trouble) {
      extras.append(
        make("button", { type: "button", className: "quiet", textContent: "Click the eyes", onclick: open }),
        make("button", { type: "button", className: "quiet", textContent: "Use the centre",
          onclick: () => trigger("centre", { photo: photo.id }) }));
    }
    if (extras.childElementCount) row.append(extras);
    return row;
  }

  function dialog(title, ...children) {
    const close = make("button", { type: "button", className: "icon", textContent: "×", ariaLabel: "Close" });
    const box = make("dialog", { className: "studio-dialog", ariaLabel: title },
      make("header", {}, make("h2", { textContent: title }), close), ...children);
    close.addEventListener("click", () => box.close());
    box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
    box.addEventListener("close", () => box.remove());
    byId("studio").append(box);
    box.showModal();
    return box;
  }

  // The photo large: a click on a face chooses it, two clicks elsewhere are the two eyes.
  function openChooser(photo, trigger) {
    const marks = [];
    const image = make("img", { src: link(photo.src), alt: photo.name, draggable: false });
    const area = make("div", { className: "chooser" }, image);
    const help = make("p", { className: "hint", textContent: photo.faces.length
      ? "Click a face to choose it, or click both eyes yourself." : "Click the two eyes, one after the other." });
    const box = dialog(photo.name, help, area, make("div", { className: "row" },
      make("button", { type: "button", className: "quiet", textContent: "Use the centre",
        onclick: () => { trigger("centre", { photo: photo.id }); box.close(); } })));
    photo.faces.forEach((face) => {
      const [x, y, w, h] = face.box.map((part) => `${100 * part}%`);
      area.append(make("button", { type: "button", className: "face-box" + (face.index === photo.chosen ? " on" : ""),
        ariaLabel: `Person ${face.index + 1}`, style: `left:${x};top:${y};width:${w};height:${h}`,
        onclick: (event) => {
          if (marks.length) return;
          event.stopPropagation();
          trigger("choose", { photo: photo.id, face: face.index });
          box.close();
        } }));
    });
    area.addEventListener("click", (event) => {
      const frame = image.getBoundingClientRect();
      const point = [(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height];
      marks.push(point);
      area.append(make("span", { className: "eye-mark", style: `left:${100 * point[0]}%;top:${100 * point[1]}%` }));
      help.textContent = "Now the other eye.";
      if (marks.length === 2) {
        trigger("eyes", { photo: photo.id, eyes: marks });
        setTimeout(() => box.close(), 250);
      }
    });
  }

  async function openCamera() {
    const video = make("video", { autoplay: true, playsInline: true, muted: true });
    const words = make("p", { className: "hint", textContent: "Waiting for the camera…" });
    const take = make("button", { type: "button", className: "loud", textContent: "Take the photo", disabled: true });
    const box = dialog("Camera", words, video, make("div", { className: "row" }, take));
    let stream = null;
    box.addEventListener("close", () => stream && stream.getTracks().forEach((track) => track.stop()));
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1280 } } });
    } catch {
      words.textContent = "The browser gives no camera here: allow it in the address bar, or choose a file instead.";
      return;
    }
    video.srcObject = stream;
    words.textContent = "Look into the camera.";
    take.disabled = false;
    take.addEventListener("click", () => {
      const canvas = make("canvas", { width: video.videoWidth, height: video.videoHeight });
      canvas.getContext("2d").drawImage(video, 0, 0);
      canvas.toBlob((blob) => { send([new File([blob], "camera.png", { type: "image/png" })]); box.close(); }, "image/png");
    });
  }

  // ---------------------------------------------------------------- canvas

  const viewer = { items: [], index: -1, node: null, favourite: () => {} };

  function stage(root, { trigger, watch, props }) {
    const words = make("p", { className: "stage-words", role: "status", ariaLive: "polite" });
    const bar = make("progress", { max: 1, value: 0 });
    const sheet = make("button", { type: "button", className: "quiet", id: "get-sheet", textContent: "Sheet",
      title: "Download all as one picture", onclick: () => trigger("export", { what: "sheet" }) });
    const zip = make("button", { type: "button", className: "quiet", id: "get-zip", textContent: "Zip",
      title: "Download every picture in one file", onclick: () => trigger("export", { what: "zip" }) });
    const head = make("div", { className: "stage-head" }, words, make("div", { className: "row" }, sheet, zip));
    const grid = make("div", { className: "grid" });
    viewer.node = make("div", { className: "viewer", hidden: true });
    root.replaceChildren(head, bar, grid, viewer.node);
    let shape = "", run = 0;

    function draw() {
      const value = props.value || { people: [], animals: [], items: {}, done: 0, total: 0, message: "", busy: false };
      words.textContent = value.message;
      bar.max = value.total || 1;
      bar.value = value.done;
      bar.classList.toggle("busy", value.busy);
      sheet.hidden = !value.sheet;
      zip.hidden = !value.zip;
      const wanted = JSON.stringify([value.people.map((p) => p.id), value.animals.map((a) => a.name)]);
      if (wanted !== shape) { layOut(grid, value); shape = wanted; }
      fill(grid, value, (id) => openViewer(gridItems(value), id));
      fit(grid, value);
      describe(currentItem(), value);
      // On a phone the button lies below the pictures: whoever pressed it wants to see them.
      if (value.run > run && value.busy && window.innerWidth < 720) root.scrollIntoView({ behavior: "smooth" });
      run = value.run || 0;
    }
    new ResizeObserver(() => fit(grid, props.value)).observe(root);
    watch("value", draw);
    draw();
  }

  const gridItems = (value) => value.people.flatMap((person) =>
    value.animals.map((animal) => value.items[`${person.id}/${animal.name}`]).filter(Boolean));

  // One person: the cells flow around; several: a row per person, a column per animal.
  function layOut(grid, value) {
    const many = value.people.length > 1;
    grid.className = many ? "grid many" : "grid one";
    grid.style.setProperty("--columns", value.animals.length + 1);
    const cells = [];
    if (many) {
      cells.push(make("span", { className: "column-name" }));
      cells.push(...value.animals.map((animal) => make("span", { className: "column-name" }, animal.label, studyBadge(animal))));
    }
    for (const person of value.people) {
      cells.push(make("figure", { className: "cell source-cell", id: `cell-${person.id}` },
        make("div", { className: "frame" }), make("figcaption", { textContent: person.name, title: person.name })));
      cells.push(...value.animals.map((animal) => emptyCell(person, animal, many)));
    }
    grid.replaceChildren(...cells);
  }

  const studyBadge = (animal) =>
    (animal.study ? make("span", { className: "badge", textContent: "study", title: animal.study }) : null);

  function emptyCell(person, animal, many) {
    const caption = make("figcaption", {}, many ? null : make("span", { className: "cell-name", textContent: animal.label }),
      many ? null : studyBadge(animal),
      make("span", { className: "cell-words" }));
    return make("figure", { className: "cell", id: `cell-${person.id}/${animal.name}` },
      make("button", { type: "button", className: "frame", disabled: true, ariaLabel: `${person.name} as ${animal.label}` }), caption);
  }

  function fill(grid, value, open) {
    for (const person of value.people) setPicture(byId(`cell-${person.id}`).firstChild, link(person.src), person.name);
    for (const cell of grid.querySelectorAll("figure.cell:not(.source-cell)")) {
      const key = cell.id.slice("cell-".length);
      const item = value.items[key];
      const frame = cell.firstChild;
      cell.classList.toggle("waiting", value.busy && !(item && item.run === value.run));
      frame.disabled = !item;
      if (!item) { frame.replaceChildren(); continue; }
      setPicture(frame, link(item.src), item.title);
      frame.title = item.words.map((word) => word.text + (word.figure ? ` (${word.figure})` : "")).join(", ");
      frame.onclick = () => open(item.id);
      cell.querySelector(".cell-words").textContent = item.short;
    }
  }

  // The old picture stays until the new one is decoded, so that nothing blinks.
  function setPicture(frame, src, alt) {
    const old = frame.querySelector("img");
    if (!src || (old && old.getAttribute("src") === src)) return;
    const image = make("img", { src, alt, draggable: false });
    const swap = () => frame.replaceChildren(image);
    if (!old) swap(); else image.decode().then(swap, swap);
  }

  // The largest cell with which one person's whole row is in sight without scrolling.
  function fit(grid, value) {
    if (!value || value.people.length !== 1) return;
    const count = value.animals.length + 1, gap = 12, caption = 48;
    const box = grid.parentElement.getBoundingClientRect();
    const width = grid.clientWidth - 8, height = Math.max(320, box.height - 72);
    let best = { size: 0, columns: 2 };
    for (let columns = 2; columns <= count; columns++) {
      const rows = Math.ceil(count / columns);
      const size = Math.min((width - gap * (columns - 1)) / columns, (height - gap * (rows - 1)) / rows - caption);
      if (size > best.size) best = { size, columns };
    }
    const narrow = window.innerWidth < 720;
    grid.style.setProperty("--fit-columns", narrow ? 3 : best.columns);
    grid.style.setProperty("--fit-size", narrow ? "1fr" : `${Math.floor(Math.min(best.size, 320))}px`);
  }

  // ---------------------------------------------------------------- one picture, large

  const currentItem = () => (viewer.index >= 0 ? viewer.items[viewer.index] : null);

  function openViewer(items, id) {
    viewer.items = items;
    viewer.index = items.findIndex((item) => item.id === id);
    drawViewer();
  }

  function closeViewer() {
    if (viewer.index < 0) return false;
    const last = currentItem();
    viewer.index = -1;
    viewer.node.hidden = true;
    viewer.node.replaceChildren();
    describe(null);
    const cell = last && byId(`cell-${last.key}`);
    if (cell) cell.firstChild.focus();
    return true;
  }

  function step(by) {
    if (viewer.index < 0 || !viewer.items.length) return;
    viewer.index = (viewer.index + by + viewer.items.length) % viewer.items.length;
    drawViewer();
  }

  function drawViewer() {
    const item = currentItem();
    if (!item) return closeViewer();
    const before = make("img", { src: link(item.before), alt: "The photo", className: "before", draggable: false });
    const range = make("input", { type: "range", min: 0, max: 100, value: 50, ariaLabel: "Compare with the photo" });
    const compare = make("div", { className: "compare", style: "--cut:50%" },
      make("img", { src: link(item.src), alt: item.title, draggable: false }), before,
      make("span", { className: "cut" }), make("span", { className: "tag left", textContent: "photo" }),
      make("span", { className: "tag right", textContent: item.animal }), range);
    range.addEventListener("input", () => compare.style.setProperty("--cut", `${range.value}%`));
    const button = (text, label, act, cls = "icon") =>
      make("button", { type: "button", className: cls, textContent: text, title: label, ariaLabel: label, onclick: act });
    viewer.node.hidden = false;
    viewer.node.replaceChildren(
      make("div", { className: "viewer-head" },
        make("h2", { textContent: item.title }),
        make("span", { className: "hint", textContent: `${viewer.index + 1} of ${viewer.items.length}` }),
        button("Download", "Download this picture (D)", () => download(item.file), "quiet"),
        button("×", "Back to all (Esc)", closeViewer)),
      make("div", { className: "viewer-body" }, button("‹", "Previous (←)", () => step(-1), "icon turn"), compare,
        button("›", "Next (→)", () => step(1), "icon turn")),
      make("p", { className: "viewer-words" }, ...item.words.map((word) =>
        make("span", { textContent: word.text, title: word.figure }))));
    describe(item);
  }

  // ---------------------------------------------------------------- inspector

  function describe(item, value) {
    const root = byId("inspector-body");
    if (!root || (value && item)) return;
    root.replaceChildren(...(item ? itemDetails(item) : sheetDetails()));
  }

  const sheetDetails = () => [
    make("p", { textContent: "Click a picture to see it large beside its photo, with what the judges say about it." }),
    make("p", { className: "hint", textContent: "Press ? for all keys." })];

  function itemDetails(item) {
    const facts = make("dl", {}, ...item.facts.flatMap(([name, text]) =>
      [make("dt", { textContent: name }), make("dd", { textContent: text })]));
    return [
      make("h3", { textContent: item.title }),
      make("ul", { className: "words" }, ...item.words.map((word) =>
        make("li", { textContent: word.text, title: word.figure || "", className: word.good ? "good" : "poor" }))),
      item.study && make("p", { className: "study" }, make("span", { className: "badge", textContent: "study" }), ` ${item.study}`),
      facts,
      make("button", { type: "button", className: "quiet wide", textContent: "Download PNG", onclick: () => download(item.file) }),
      make("p", { className: "hint", textContent: "The file carries its recipe: drop it here again to restore these settings." }),
      make("details", {}, make("summary", { textContent: "Recipe" }), make("pre", { textContent: item.recipe })),
    ].filter(Boolean);
  }

  // ---------------------------------------------------------------- strip and downloads

  function strip(root, { trigger, watch, props }) {
    const row = make("div", { className: "strip-row", role: "list" });
    root.replaceChildren(row);
    viewer.favourite = (item) => item && trigger("favourite", { id: item.id });
    const draw = () => {
      const items = props.value || [];
      row.replaceChildren(...(items.length ? items.map((item) => stripCell(item, items))
        : [make("p", { className: "hint", textContent: "Everything you make in this visit is kept here." })]));
    };
    watch("value", draw);
    draw();
  }

  function stripCell(item, items) {
    return make("button", { type: "button", className: "strip-cell" + (item.favourite ? " favourite" : ""), title: item.title,
      ariaLabel: item.title, onclick: () => openViewer(items, item.id) }, make("img", { src: link(item.src), alt: "", loading: "lazy" }));
  }

  // Sheets and zips are made when they are asked for; the answer is a file to save.
  function courier(root, { watch, props }) {
    watch("value", () => props.value && download(props.value.file));
  }

  // ---------------------------------------------------------------- tabs, keys, drop, paste

  function showTab(name) {
    for (const pane of document.querySelectorAll(".tab-pane")) pane.classList.toggle("on", pane.id === `tab-${name}`);
    for (const button of document.querySelectorAll("[data-tab]")) button.ariaSelected = String(button.dataset.tab === name);
  }

  const KEYS = [["Enter", "Make"], ["Esc", "Stop, or back to all pictures"], ["← →", "Previous and next picture"],
    ["F", "Mark the picture as a favourite"], ["D", "Download the picture"], ["?", "All keys"]];

  function showKeys() {
    dialog("Keys", make("dl", { className: "keys" }, ...KEYS.flatMap(([key, does]) =>
      [make("dt", {}, make("kbd", { textContent: key })), make("dd", { textContent: does })])));
  }

  const shownButton = (selector) => [...document.querySelectorAll(selector)].find((node) => node.offsetParent && !node.disabled);

  function press(selector) {
    const button = shownButton(selector);
    if (button) button.click();
    return Boolean(button);
  }

  const ACTIONS = {
    Enter: () => press(".make-button"),
    Escape: () => closeViewer() || press(".stop-button"),
    ArrowLeft: () => step(-1),
    ArrowRight: () => step(1),
    f: () => viewer.favourite(currentItem()),
    d: () => download((currentItem() || {}).file),
    "?": showKeys,
  };

  function onKey(event) {
    const typing = event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");
    const pressing = event.key === "Enter" && event.target.closest("button, a, summary, input");
    if (event.ctrlKey || event.metaKey || event.altKey || typing || pressing || document.querySelector("dialog[open]")) return;
    const action = ACTIONS[event.key] || ACTIONS[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action();
  }

  function listen() {
    document.addEventListener("keydown", onKey);
    document.addEventListener("click", (event) => {
      const tab = event.target.closest("[data-tab]");
      if (tab) showTab(tab.dataset.tab);
      if (event.target.closest("#keys-button")) showKeys();
      if (event.target.closest("#inspector-fold")) document.body.classList.toggle("inspector-closed");
    });
    document.addEventListener("paste", (event) => send(event.clipboardData ? event.clipboardData.files : []));
    document.addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dragging"); });
    document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("dragging"); });
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      document.body.classList.remove("dragging");
      send(event.dataTransfer ? event.dataTransfer.files : []);
    });
  }
  listen();

  return { source, stage, strip, courier };
})();
