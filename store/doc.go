// Package store is the contract between the library and the databases it works
// on. A [Source] is read, a [Store] is written as well, in one transaction at a
// time; types, the order of keys and the equality of values are defined here, once
// for all engines.
//
// A new engine implements Source, and Store where it is to hold a mirror. What it
// can do beyond that it says with optional capabilities, each a small interface:
//
//   - [Identifier] says which database it is, so that mistakes are found.
//   - [Isolator] says how its reads are isolated.
//   - [Inventorier] lists what a database has besides tables.
//   - [ChangeTracker] proves which differences the next cycle brings, and lists the
//     keys that changed since a version.
//   - [Digester] summarises rows where they are stored.
//   - [KeyReader] reads single rows by their keys.
//   - [Pool] and [BatchKeeper] say how much can be read at a time, and how fast.
//   - [Decoder] leaves it to whoever reads to decode values.
//   - [AnyValuer] says that columns hold values that are not of their type.
//   - [Renamer], of a [Tx], lets a hard reset keep what it takes away.
//
// Without one of them everything works, slower or with less to say.
// Package storetest tells whether an engine keeps the contract, and package
// sqlstore implements it for whatever database/sql can reach.
//
// The package imports the standard library alone, besides the internal package
// that makes text fit to be shown.
package store
