// Runs the distribution's own tools: no shell in between, plain English answers to compare with, and an error that
// repeats what the tool said.

import { execFile } from 'node:child_process'

const generousOutput = 64 * 1024 * 1024

export function run(command: string, args: readonly string[], options: { cwd?: string } = {}): Promise<string> {
  const env = {
    ...process.env,
    LC_ALL: 'C',
    DEBIAN_FRONTEND: 'noninteractive',
    PATH: `${process.env['PATH']}:/usr/sbin:/sbin`,
  }
  return new Promise((resolve, reject) => {
    execFile(command, [...args], { ...options, env, maxBuffer: generousOutput }, (error, stdout, stderr) => {
      if (!error) return resolve(stdout)
      const said = stderr.trim() || stdout.trim() || error.message
      reject(new Error(`${command} ${args.slice(0, 3).join(' ')} failed: ${said.slice(-2000)}`, { cause: error }))
    })
  })
}
