// Words for numbers, the same as the page has them when it comes.

export function seconds(value) {
  if (value >= 100) return `${value.toFixed(0)} s`;
  if (value >= 1) return `${value.toFixed(2)} s`;
  if (value >= 0.1) return `${(value * 1e3).toFixed(0)} ms`;
  return `${(value * 1e3).toFixed(1)} ms`;
}

export function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  let unit = 0;
  while (count >= 1024 && unit + 1 < units.length) {
    count /= 1024;
    unit += 1;
  }
  return `${count.toFixed(unit === 0 || count >= 100 ? 0 : 1)} ${units[unit]}`;
}

export function percent(share) {
  const value = share * 100;
  return `${value.toFixed(value > 0 && value < 10 ? 1 : 0)} %`;
}

export function rate(value) {
  if (value >= 100) return `${value.toFixed(0)}/s`;
  return `${value.toFixed(value >= 1 || value === 0 ? 1 : 2)}/s`;
}

export const skew = (value) => (Math.abs(value) < 1 ? "±0 s" : `${value > 0 ? "+" : "-"}${Math.abs(value).toFixed(0)} s`);
export const orDash = (value, show) => (value === null || value === undefined ? "–" : show(value));

export function expiry(until, now) {
  const left = (Date.parse(until) - Date.parse(now)) / 1000;
  if (left <= 0) return "expired";
  if (left < 3_600) return `in ${Math.floor(left / 60)} min`;
  if (left < 172_800) return `in ${Math.floor(left / 3_600)} h`;
  return `in ${Math.floor(left / 86_400)} d`;
}

export function uptime(status) {
  const up = Math.max(0, Math.floor((Date.parse(status.now) - Date.parse(status.started)) / 1000));
  const [days, hours, minutes] = [Math.floor(up / 86_400), Math.floor(up / 3_600) % 24, Math.floor(up / 60) % 60];
  if (days) return `${days} d ${hours} h`;
  return hours ? `${hours} h ${minutes} min` : `${minutes} min`;
}

export const kind = (status) => (status >= 200 && status < 400 ? "n good" : status >= 400 && status < 500 ? "n warn" : "n bad");
export const statusText = (status) => (status === 0 ? "left" : String(status));
