#include "tests/chaos/checker/check.h"

#include "tests/chaos/checker/model.h"

namespace skald::checker {

Report check(const History& history, const Options& options) {
  Report report(options.max_details);
  Model model(history, options, report);
  play_receivers(model, report);
  check_obligations(model, report);
  check_deliveries(model, report);
  check_order(model, report);
  check_retained(model, report);
  check_connections(model, report);
  check_wills(model, report);
  check_shared(model, report);
  return report;
}

}  // namespace skald::checker
