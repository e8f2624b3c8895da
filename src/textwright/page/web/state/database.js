// What is kept in this browser (IndexedDB): texts, chats, settings, trainings. Where there is no such place (a
// private window, a frame of another site) the page works, and says that nothing is kept.

const NAME = "textwright";
const TABLES = {
  texts: "id", chats: "model", settings: "name",
  runs: "name", checkpoints: "name", weights: "name", // of trainings in a tab: what a list tells, what going on needs, the model
};

export class Database {
  constructor(opened) {
    this.opened = opened;
  }

  static async open() {
    try {
      return new Database(await request(() => {
        const asked = indexedDB.open(NAME, 2);
        asked.onupgradeneeded = () => {
          const missing = Object.entries(TABLES).filter(([table]) => !asked.result.objectStoreNames.contains(table));
          for (const [table, keyPath] of missing) asked.result.createObjectStore(table, { keyPath });
        };
        return asked;
      }));
    } catch {
      return new Database(null);
    }
  }

  get keeps() {
    return this.opened !== null;
  }

  all(table) {
    return this.run(table, "readonly", (store) => store.getAll(), []);
  }

  keys(table) {
    return this.run(table, "readonly", (store) => store.getAllKeys(), []);
  }

  one(table, key) {
    return this.run(table, "readonly", (store) => store.get(key), undefined);
  }

  put(table, value) {
    return this.run(table, "readwrite", (store) => store.put(value), undefined);
  }

  drop(table, key) {
    return this.run(table, "readwrite", (store) => store.delete(key), undefined);
  }

  /** Throws where the disk is full; without a database, `otherwise`. */
  async run(table, mode, ask, otherwise) {
    if (!this.opened) return otherwise;
    return request(() => ask(this.opened.transaction(table, mode).objectStore(table)));
  }
}

function request(ask) {
  return new Promise((resolve, reject) => {
    const asked = ask();
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
    asked.onblocked = () => reject(new Error("blocked"));
  });
}
