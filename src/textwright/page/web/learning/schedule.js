// The learning rate of each step: warmup, a plateau, a decay; as textwright/training/optim/optimizer.py.

/** What the learning rates are multiplied by at `step`; `course`: [[begin, steps], …]. */
export function rateFactor(step, settings, course) {
  let number = 0;
  course.forEach(([begin], place) => {
    if (begin <= step || !begin) number = place;
  });
  const [begin, steps] = course[number];
  const planned = plannedFactor(step, settings, steps);
  const rise = Math.ceil(settings.warmup * (steps - begin));
  if (!begin || step - begin >= rise) return planned;
  const before = rateFactor(begin - 1, settings, course.slice(0, number));
  return before + ((planned - before) * (step - begin + 1)) / rise;
}

function plannedFactor(step, settings, steps) {
  const warmup = Math.ceil(settings.warmup * steps);
  if (step < warmup) return (step + 1) / warmup;
  const falling = settings.decay * steps;
  const left = steps - step;
  if (settings.schedule === "constant" || left >= falling) return 1;
  let share = left / falling;
  if (settings.schedule === "cosine") share = 0.5 * (1 - Math.cos(Math.PI * share));
  const low = settings.final_learning_rate;
  return low + (1 - low) * share;
}
