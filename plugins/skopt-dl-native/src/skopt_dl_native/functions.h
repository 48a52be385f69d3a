#include <math.h>
#define exp_f32 expf
#define exp_f64 exp
#define expm1_f32 expm1f
#define expm1_f64 expm1
#define log_f32 logf
#define log_f64 log
#define log1p_f32 log1pf
#define log1p_f64 log1p
#define tanh_f32 tanhf
#define tanh_f64 tanh
#define erf_f32 erff
#define erf_f64 erf
