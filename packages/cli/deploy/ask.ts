// Questions to a person, or to whoever writes the answers into standard input, a line each. A person who errs is asked again; a
// script that errs, or says too little, is refused with what it should have said.
import { createInterface, type Interface } from 'node:readline'
import type { Readable } from 'node:stream'
import { UsageError } from '../explain.ts'
import type { Terminal } from '../progress.ts'

/** Where an answer is missing, what to write on the command line instead. */
export interface Question {
  readonly text: string
  readonly parameter: string
  /** What an empty line, or the end of the input, means; undefined: an answer is needed. */
  readonly otherwise?: string | undefined
}

export class Asker {
  readonly #input: Readable & { readonly isTTY?: boolean }
  readonly #output: Terminal & NodeJS.WritableStream
  #reading: { readonly lines: Interface; readonly next: AsyncIterator<string> } | undefined

  constructor(input: Readable & { readonly isTTY?: boolean }, output: Terminal & NodeJS.WritableStream) {
    this.#input = input
    this.#output = output
  }

  say(text: string): void {
    this.#output.write(`${text}\n`)
  }

  /** What `read` makes of the answer; it throws a UsageError for one that will not do. */
  async ask<T>({ text, parameter, otherwise }: Question, read: (answer: string) => T): Promise<T> {
    for (;;) {
      const line = await this.#line(text)
      const answer = line || otherwise
      if (line === null && this.#input.isTTY) throw new UsageError('Nothing was deployed')
      if (answer === undefined && !this.#input.isTTY) throw missing(parameter)
      try {
        if (answer !== undefined) return read(answer)
      } catch (error) {
        if (!(error instanceof UsageError) || !this.#input.isTTY) throw error
        this.say(error.message)
      }
    }
  }

  close(): void {
    this.#reading?.lines.close()
  }

  /** Standard input is touched only when there is something to ask. */
  async #line(text: string): Promise<string | null> {
    const { lines, next } = (this.#reading ??= this.#open())
    lines.setPrompt(`${text} `)
    if (this.#input.isTTY && !this.#input.readableEnded) lines.prompt()
    else this.say(text)
    const { value, done } = await next.next()
    return done ? null : value.trim()
  }

  #open() {
    const lines = createInterface({ input: this.#input, ...(this.#input.isTTY && { output: this.#output }) })
    return { lines, next: lines[Symbol.asyncIterator]() }
  }
}

function missing(parameter: string): UsageError {
  return new UsageError(
    `Nothing was deployed: ${parameter} is missing, and standard input, which is no terminal, has no answer. Write ${parameter} on the command line`,
  )
}
