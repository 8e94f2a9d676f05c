/**
 * Some connections have a special role: they publish, or do not read. They are spread evenly over all connections, and
 * so over the client threads: connection i is the one in which `i · special / connections` reaches the next integer.
 */

/** How many of the connections before this one have the role. For one that has it: its number among them. */
export function specialBefore(connection: number, special: number, connections: number): number {
  return Math.floor((connection * special) / connections);
}

export function isSpecial(connection: number, special: number, connections: number): boolean {
  return (
    specialBefore(connection + 1, special, connections) > specialBefore(connection, special, connections)
  );
}
