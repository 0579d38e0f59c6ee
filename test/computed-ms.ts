/** What this process has computed, in milliseconds: its share of a busy host is not the guest's doing. */
export function computedMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
