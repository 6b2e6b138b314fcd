/** What the server is asked, and what it answers; its words are those of the command line. */

/** The server refused: `field` is the one that is wrong, "" if it is none. Code 0: it could not be asked at all. */
export class Refused extends Error {
  readonly field: string;

  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
    this.field = /^([a-z]+): /.exec(message)?.[1] ?? "";
  }
}

export type Method = "GET" | "POST" | "PUT" | "DELETE";
export type Ask = <T>(method: Method, path: string, body?: unknown) => Promise<T>;

const TIMEOUT_MS = 30_000; // who imports many people waits

/** Asks below `/admin/api`, with the session's cookie; whose session is over is `loggedOut`. */
export const asking =
  (loggedOut: () => void, fetching: typeof fetch = (...request) => fetch(...request)): Ask =>
  async <T>(method: Method, path: string, body?: unknown): Promise<T> => {
    let answer: Response;
    try {
      answer = await fetching(`/admin/api/${path}`, {
        ...{ method, headers: { Accept: "application/json" }, signal: AbortSignal.timeout(TIMEOUT_MS) },
        ...(body === undefined ? {} : { body: body instanceof Blob ? body : JSON.stringify(body) }),
      });
    } catch {
      throw new Refused(0, "");
    }
    if (answer.status === 401) loggedOut();
    const said = (await answer.json().catch(() => ({}))) as { message?: string };
    if (!answer.ok) throw new Refused(answer.status, said.message ?? answer.statusText);
    return said as T;
  };
