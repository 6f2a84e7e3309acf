// What a page is held to in the browser. Each function returns what is wrong, a line each.
(() => {
  const says = (el) => {
    const box = el.closest("[id]");
    return `<${el.tagName.toLowerCase()} class="${el.getAttribute("class") || ""}"> in #${box ? box.id : ""}: ${(el.textContent || "").trim().slice(0, 40)}`;
  };

  // What is out of sight is not laid out, and what is closed is not either.
  const open = () => {
    for (const d of document.querySelectorAll("details")) d.open = true;
    for (const t of document.querySelectorAll(".t")) t.style.contentVisibility = "visible";
  };

  const overflow = () => {
    open();
    const wrong = [];
    const width = document.scrollingElement.scrollWidth;
    if (width > innerWidth) {
      wrong.push(`the page is ${width} wide, the window ${innerWidth}`);
      const range = document.createRange();
      const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      while (walk.nextNode()) {
        const el = walk.currentNode.parentElement;
        range.selectNodeContents(walk.currentNode);
        if (!el.closest(".vh, .skip, svg, .scroll") && range.getBoundingClientRect().right > innerWidth) wrong.push(`text of ${says(el)}`);
      }
    }
    for (const el of document.querySelectorAll("body *")) {
      if (el.closest(".vh, .skip, svg, .scroll")) continue;
      const box = el.getBoundingClientRect();
      if (box.width > 0 && (box.right > innerWidth + 1 || box.left < -1)) wrong.push(says(el));
    }
    return wrong;
  };

  const channel = (c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
  const colour = (s) => {
    const n = s.match(/[\d.]+/g).map(Number);
    return n.length === 3 ? [...n, 1] : n;
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  const ground = (el) => {
    const layers = [];
    for (let e = el; e; e = e.parentElement) {
      const c = colour(getComputedStyle(e).backgroundColor);
      layers.push(c);
      if (c[3] === 1) break;
    }
    return layers.reverse().reduce((below, c) => over(c, below), [255, 255, 255]);
  };
  const ratio = (el, of) => {
    const back = over(of ? colour(getComputedStyle(el, of).backgroundColor) : [0, 0, 0, 0], ground(el));
    const front = over(colour(getComputedStyle(el, of).color), back);
    const [light, dark] = [luminance(front), luminance(back)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };

  const contrast = () => {
    open();
    const wrong = new Set();
    let seen = 0;
    const check = (el, of) => {
      seen++;
      const r = ratio(el, of);
      if (r < 4.5) wrong.add(`${r.toFixed(2)} ${says(el)}`);
    };
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      const el = walk.currentNode.parentElement;
      if (walk.currentNode.data.trim() && !el.closest("svg")) check(el);
    }
    for (const el of document.querySelectorAll("body *")) {
      for (const of of ["::before", "::after"]) {
        if (!["none", "normal", '""'].includes(getComputedStyle(el, of).content)) check(el, of);
      }
    }
    if (seen < 5) wrong.add(`only ${seen} texts`);
    return [...wrong];
  };

  const structure = () => {
    const wrong = [];
    const demand = (ok, what) => ok || wrong.push(what);
    for (const [selector, n] of [["h1", 1], ["main", 1], ["body > header", 1], ["a.skip", 1], ["html[lang]", 1], ["title", 1]]) {
      const found = document.querySelectorAll(selector).length;
      demand(found === n, `${found} of ${selector}`);
    }
    let last = 0;
    for (const h of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
      const level = Number(h.tagName[1]);
      demand(level <= last + 1, `a heading is left out before ${says(h)}`);
      demand(h.textContent.trim() !== "", "an empty heading");
      last = level;
    }
    const ids = new Set();
    for (const el of document.querySelectorAll("[id]")) {
      demand(!ids.has(el.id), `twice: #${el.id}`);
      ids.add(el.id);
    }
    for (const a of document.querySelectorAll("a")) {
      const to = a.getAttribute("href") || "#";
      demand(!to.startsWith("#") || ids.has(to.slice(1)), `leads nowhere: ${says(a)}`);
      demand(a.textContent.trim(), `a link without a name to ${to}`);
    }
    for (const el of document.querySelectorAll("input:not([type=hidden], [hidden]), select, textarea")) demand(el.labels.length === 1 && el.labels[0].textContent.trim(), `no label: ${el.outerHTML.slice(0, 80)}`);
    for (const el of document.querySelectorAll("button")) demand(el.textContent.trim(), "a button without a name");
    for (const el of document.querySelectorAll("[aria-describedby]")) for (const id of el.getAttribute("aria-describedby").split(" ")) demand(ids.has(id), `no description: ${says(el)}`);
    for (const el of document.querySelectorAll("[aria-labelledby]")) demand(ids.has(el.getAttribute("aria-labelledby")), `no label: ${says(el)}`);
    for (const el of document.querySelectorAll("[role=img], [role=group]")) demand((el.getAttribute("aria-label") || "").trim(), `no text alternative: ${says(el)}`);
    for (const svg of document.querySelectorAll("svg")) demand(svg.closest("[role=img], [aria-hidden=true]"), "a drawing without a text alternative");
    for (const th of document.querySelectorAll("th")) demand(th.scope, `no scope: ${says(th)}`);
    for (const el of document.querySelectorAll("[style], [onclick], [onerror]")) demand(false, `inline: ${says(el)}`);
    for (const bar of document.querySelectorAll(".bar")) demand(bar.getBBox().width > 0, `a bar that nobody sees in ${says(bar.closest("article"))}`);
    return wrong;
  };

  // What a page has that needs no other file.
  const alone = () => {
    const wrong = [];
    if (document.scripts.length > 0) wrong.push("a script");
    if (document.images.length + document.querySelectorAll("iframe, object, embed, form, base").length > 0) wrong.push("something that does not belong here");
    for (const a of document.querySelectorAll("a")) if (!a.getAttribute("href").startsWith("#")) wrong.push(`leads elsewhere: ${says(a)}`);
    return wrong;
  };

  const closed = () => [...document.querySelectorAll("details")].filter((d) => !d.querySelector(":scope > :not(summary)").checkVisibility({ contentVisibilityAuto: false, visibilityProperty: true }) || d.querySelector(":scope > :not(summary)").offsetHeight === 0).map(says);

  const few = (f) => () => f().slice(0, 8);
  window.check = { overflow: few(overflow), contrast: few(contrast), structure: few(structure), alone: few(alone), closed: few(closed) };
  return true;
})()
