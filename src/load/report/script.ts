/** The script of the report: shows the values at the place that is pointed at. Without it nothing is missing but that. */
export const SCRIPT = `
for (const { id, points } of JSON.parse(document.getElementById('charts').textContent)) {
  const figure = document.getElementById(id);
  const svg = figure.querySelector('svg');
  const cursor = figure.querySelector('.cursor');
  const readout = figure.querySelector('.readout');
  const about = readout.textContent;
  const point = (event) => {
    const { left, width } = svg.getBoundingClientRect();
    const x = ((event.clientX - left) / width) * svg.viewBox.baseVal.width;
    let near = points[0];
    for (const each of points) if (Math.abs(each.x - x) < Math.abs(near.x - x)) near = each;
    if (!near) return;
    cursor.setAttribute('x1', near.x);
    cursor.setAttribute('x2', near.x);
    cursor.removeAttribute('hidden');
    readout.textContent = near.text;
  };
  svg.addEventListener('pointermove', point);
  svg.addEventListener('pointerdown', point);
  svg.addEventListener('pointerleave', () => {
    cursor.setAttribute('hidden', '');
    readout.textContent = about;
  });
}
`;
