/**
 * The public option interfaces have exactly the options of the tables, with the right types. It is not run: where one of them
 * does not, this does not compile, and the error names the option.
 */
import type { AppOptions, CloseOptions, ServeOptions, TlsOptions, WebSocketBehavior } from 'millrace';
import type { BenchOptions } from 'millrace/bench';
import type { StompBrokerOptions } from 'millrace/stomp';
import type { ProfileOptions } from '../../src/app/server.ts';
import type { optionTables } from '../../src/options/option-tables.ts';

type Equal<A, B> = [A, B] extends [B, A] ? true : false;

type Fits<Value, Row> = Row extends { readonly type: 'integer' }
  ? Equal<Value, number>
  : Row extends { readonly type: 'flag' }
    ? Equal<Value, boolean>
    : Row extends { readonly type: 'callback' }
      ? Value extends (...args: never[]) => unknown
        ? true
        : false
      : Row extends { readonly type: 'text' }
        ? Extract<Value, string> extends never
          ? false
          : true
        : true;

/** The options that an interface and a table do not have in common, or not with the same type. */
export type Wrong<Options, Table> =
  | Exclude<keyof Options, keyof Table>
  | Exclude<keyof Table, keyof Options>
  | {
      [Name in keyof Options & keyof Table]: Fits<NonNullable<Options[Name]>, Table[Name]> extends true
        ? never
        : Name;
    }[keyof Options & keyof Table];

type None<Names extends never> = Names;
type Tables = typeof optionTables;

export type Agreed = [
  None<Wrong<ServeOptions, Tables['serve']>>,
  None<Wrong<AppOptions, Tables['App']>>,
  None<Wrong<TlsOptions, Tables['tls']>>,
  None<Wrong<WebSocketBehavior, Tables['ws']>>,
  None<Wrong<CloseOptions, Tables['close']>>,
  // A signal is no option of the command line, and has no default.
  None<Wrong<Omit<ProfileOptions, 'signal'>, Tables['profile']>>,
  None<Wrong<StompBrokerOptions, Tables['stompBroker']>>,
  None<Wrong<BenchOptions, Tables['bench']>>,
];

/** What would not agree. */
export type Noticed = [
  // @ts-expect-error an option that the table lacks
  None<Wrong<ServeOptions & { more?: number }, Tables['serve']>>,
  // @ts-expect-error an option that the interface lacks
  None<Wrong<Omit<AppOptions, 'backlog'>, Tables['App']>>,
  // @ts-expect-error a number that is no number
  None<Wrong<Omit<CloseOptions, 'drain'> & { drain?: string }, Tables['close']>>,
  // @ts-expect-error a callback that is none
  None<Wrong<Omit<BenchOptions, 'onProgress'> & { onProgress?: boolean }, Tables['bench']>>,
];
