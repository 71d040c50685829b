#!/usr/bin/env node
// A plugin of Core Lightning: `lightningd --plugin=<this file>`. A file of its own, so that it is executable before
// the first build.
import '../dist/nodejs/clnPlugin/main.js';
