// The one file of this executable that holds Boost.Test's main.
#define BOOST_TEST_MODULE inbox
#include <boost/test/unit_test.hpp>
