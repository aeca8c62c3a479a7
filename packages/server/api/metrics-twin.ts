import type { Command } from './command.ts'

/** The command under its name with `Metrics`: same permission, parameters and objects, an envelope of its own name. */
export function metricsTwin(command: Command): Command {
  const { envelope: _, ...rest } = command
  return { ...rest, name: `${command.name}Metrics`, description: `${command.description}; the same as ${command.name}` }
}
