locals i64 i64 i64 i64 i64 i64 i32 i32 i64 i32 i32 i64 i64 i64 i64 i64 i64
i32.const 0
i64.load
local.set 2
i32.const 0
i64.load offset=24
local.set 3
i32.const 0
i64.load offset=8
local.set 4
i32.const 0
i64.load offset=136
local.set 5
i32.const 0
i64.load offset=144
local.set 6
i32.const 0
i64.load offset=152
local.set 7
i32.const 0
i64.load32_u offset=640
i32.wrap_i64
local.set 8
local.get 0
i32.load offset=56
local.set 9
block
  loop
    i32.const 0
    local.set 11
    local.get 1
    i32.const 4
    i32.le_s
    br_if 1
    block
      block
        local.get 9
        br_table 0 0
      end
      loop
        block
          br 0
        end
        local.get 2
        local.set 16
        local.get 3
        local.set 17
        local.get 16
        local.get 17
        i64.add
        local.set 2
        local.get 4
        i64.const 4294967295
        i64.and
        local.set 18
        local.get 18
        i64.const 1
        i64.sub
        i64.const 4294967295
        i64.and
        local.set 4
        local.get 18
        i64.const 1
        i64.eq
        i32.eqz
        if
          local.get 1
          i32.const 3
          i32.sub
          local.set 1
          local.get 1
          i32.const 4
          i32.le_s
          if
            local.get 18
            local.set 13
            i32.const 1
            local.set 12
            i32.const 2097152
            local.set 0
            i32.const 0
            local.set 11
            br 5
          end
          br 1
        end
        local.get 1
        i32.const 3
        i32.sub
        local.set 1
        local.get 18
        local.set 13
        i32.const 1
        local.set 12
        br 1
      end
    end
    i32.const 2097344
    local.set 0
    i32.const 1
    local.set 11
    br 1
  end
end
local.get 12
i32.const 1
i32.eq
if
  local.get 13
  i64.const 1
  i64.sub
  i64.const 4294967295
  i64.and
  i64.extend32_s
  local.set 5
  local.get 13
  i64.const 1
  i64.sub
  i64.const 4294967295
  i64.and
  i64.extend32_s
  local.set 6
  local.get 13
  i64.const -1
  i64.xor
  i64.const 1
  i64.and
  local.get 13
  i64.const -1
  i64.xor
  i64.const 1
  i64.or
  local.get 13
  i64.const 1
  i64.sub
  i64.const 4294967295
  i64.and
  i64.and
  i64.or
  i64.const 4294967295
  i64.and
  i64.const 32
  i64.shl
  local.get 13
  i64.const -1
  i64.xor
  i64.const 1
  i64.and
  local.get 13
  i64.const -1
  i64.xor
  i64.const 1
  i64.or
  local.get 13
  i64.const 1
  i64.sub
  i64.const 4294967295
  i64.and
  i64.and
  i64.or
  i64.const 4294967295
  i64.and
  i64.or
  i64.const -4611686018427387896
  i64.and
  local.set 7
end
i32.const 0
local.get 2
i64.store
i32.const 0
local.get 4
i64.store offset=8
i32.const 0
local.get 5
i64.store offset=136
i32.const 0
local.get 6
i64.store offset=144
i32.const 0
local.get 7
i64.store offset=152
block
  block
    block
      local.get 11
      br_table 0 1 2
    end
    local.get 0
    local.get 1
    return_call 6
  end
  local.get 0
  local.get 1
  local.get 0
  i32.load
  return_call_indirect 3 0
end
local.get 10
local.get 1
return_call 5
end
