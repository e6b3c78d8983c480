// The page's own parts: elements, cells and rows of tables, and what the gateway answers. What it says is set as text,
// never as markup.

export const at = (id) => document.getElementById(id);

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function cell(name, text, className = "") {
  const made = element("td", { className, textContent: text });
  made.dataset.name = name;
  return made;
}

export function named(name, ...cells) {
  return element("tr", {}, Object.assign(element("th", { textContent: name }), { scope: "row" }), ...cells);
}

// Puts rows into a table. One that is what it was stays as it is, so that focus and selection do.
export function rows(table, made) {
  const body = table.tBodies[0];
  made.forEach((row, index) => {
    const old = body.rows[index];
    if (!old) body.append(row);
    else if (!old.isEqualNode(row)) old.replaceWith(row);
  });
  while (body.rows.length > made.length) body.rows[body.rows.length - 1].remove();
}

// Names and values of a list.
export function facts(list, pairs) {
  const made = pairs.map(([name, value, className = ""]) => {
    const fact = element("div", {}, element("dt", { textContent: name }), element("dd", { textContent: value }));
    if (className) fact.className = className;
    return fact;
  });
  const same = made.length === list.children.length && made.every((fact, index) => fact.isEqualNode(list.children[index]));
  if (!same) list.replaceChildren(...made);
}

// A refusal carries its status; where nobody answers there is none.
export async function fetched(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw Object.assign(new Error((await answer.text()).trim() || `status ${answer.status}`), { status: answer.status });
  return answer.json();
}
