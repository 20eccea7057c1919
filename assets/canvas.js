// What the canvases share that answer while something moves and keep what one likes: answers, chips, stars, small pictures.
imaginarium.hears = new Map(); // by the id of a part that brings an answer: who waits for it
imaginarium.brings = (root, { watch, props }) =>
  watch("value", () => { const hear = imaginarium.hears.get(root.closest(".block").id); if (hear && props.value) hear(props.value); });

Object.assign(imaginarium, (() => {
  const { make } = imaginarium;

  // One chip per name; of ``last`` the last one that is on stays on.
  function drawChips(box, all, on, pick, last) {
    box.replaceChildren(...all.map(({ name: what, label, title: hint }) => {
      const is = on.includes(what);
      const node = make("button", { type: "button", className: "chip", textContent: label, title: hint || label, ariaPressed: String(is),
        onclick: () => { if (!(last && is && on.length === 1)) pick(all.map((one) => one.name).filter((one) => (one === what ? !is : on.includes(one)))); } });
      node.dataset.name = what;
      return node;
    }));
  }

  // ``what`` is what one of those that are liked is called.
  function drawStar(mark, { on, title, what, busy }, onclick) {
    mark.disabled = busy;
    mark.textContent = on ? "★" : "☆";
    mark.title = mark.ariaLabel = on ? `${title} is a ${what} you like (F)` : `Put ${title} among the ${what}s you like (F)`;
    mark.ariaPressed = String(on);
    mark.onclick = onclick;
  }

  // Small pictures with a name each; those that stay in sight stay the same nodes, so that nothing blinks.
  function drawCells(box, all, draw) {
    const known = new Map([...box.children].map((node) => [node.id, node]));
    box.replaceChildren(...all.map((cell) => draw(known.get(`cell-${cell.key}`), cell)));
  }

  const figures = (rows) => make("dl", {}, ...rows.flatMap(({ label, figure }) => (figure ? [make("dt", { textContent: label }), make("dd", { textContent: figure })] : [])));

  // Chooses small files; ``send`` gets the text of each.
  function textPicker(className, send) {
    const picker = make("input", { type: "file", accept: ".json,application/json", hidden: true, multiple: true, className });
    picker.addEventListener("change", async () => {
      for (const chosen of picker.files) send((await chosen.text()).slice(0, 20000));
      picker.value = "";
    });
    return picker;
  }

  return { drawChips, drawStar, drawCells, figures, textPicker };
})());
